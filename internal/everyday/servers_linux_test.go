//go:build linux && !race

package everyday

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// write makes a file of the host's directory and returns its path.
func (h *host) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// nginx serves files of several sizes, and the host's directory below /dir/, by HTTP
// on port 80, by TLS 1.3 and HTTP/2 on 443, by TLS 1.2 on 444, and on 81 with an idle
// timeout of one second.
func (h *host) nginx(addrs ...string) {
	h.t.Helper()
	for name, size := range map[string]int{"1k": 1000, "10k": 10_000, "100k": 100_000, "5m": 5_000_000} {
		h.write("html/"+name, strings.Repeat("tcplife\n", size/8))
	}
	h.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
		"-subj", "/CN=ordinary", "-keyout", "key.pem", "-out", "cert.pem")
	listen := func(port, how string) (s string) {
		for _, a := range addrs {
			s += fmt.Sprintf(" listen %s%s;", net.JoinHostPort(a, port), how)
		}
		return s
	}
	files := " root html; location /dir/ { alias " + h.dir + "/; } location /up { proxy_pass http://unix:" + h.dir + "/taken.sock; }"
	conf := h.write("nginx.conf", `user root; daemon off; worker_processes 2; pid nginx.pid; error_log stderr warn;
events { worker_connections 1024; }
http {
 access_log off; default_type text/plain; client_max_body_size 10m;
 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
 ssl_certificate cert.pem; ssl_certificate_key key.pem;
 server {`+listen("80", "")+files+` }
 server {`+listen("81", "")+` keepalive_timeout 1s;`+files+` }
 server {`+listen("443", " ssl http2")+` ssl_protocols TLSv1.3;`+files+` }
 server {`+listen("444", " ssl")+` ssl_protocols TLSv1.2; keepalive_timeout 1s;`+files+` }
 server { listen unix:`+h.dir+`/taken.sock; location / { return 200 "taken\n"; } }
}
`)
	var all []string
	for _, a := range addrs {
		for _, port := range []string{"80", "81", "443", "444"} {
			all = append(all, net.JoinHostPort(a, port))
		}
	}
	h.serve(h.command(h.t.Context(), "nginx", "-e", "stderr", "-p", h.dir, "-c", conf), all...)
}

// postgres serves an empty database for the user postgres, without a password.
func (h *host) postgres(addr string) {
	h.t.Helper()
	// It refuses to run as root.
	me, err := user.Lookup("postgres")
	if err != nil {
		h.t.Skipf("wants the user postgres, as Debian's packages make it: %v", err)
	}
	uid, _ := strconv.ParseUint(me.Uid, 10, 32)
	gid, _ := strconv.ParseUint(me.Gid, 10, 32)
	data := filepath.Join(h.dir, "pg")
	if err := os.Mkdir(data, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chown(data, int(uid), int(gid)); err != nil {
		h.t.Fatal(err)
	}
	asPostgres := func(program string, args ...string) *exec.Cmd {
		c := h.command(h.t.Context(), filepath.Join(postgresPrograms(), program), args...)
		c.Dir = data
		c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return c
	}
	var said lines
	c := asPostgres("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8")
	c.Stdout, c.Stderr = &said, &said
	if err := h.start(c); err != nil {
		h.t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		h.t.Fatalf("initdb: %v\n%s", err, said.tail(10))
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte("host all all all trust\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.serve(asPostgres("postgres", "-D", data, "-k", data, "-h", addr, "-c", "fsync=off", "-c", "max_connections=100"), net.JoinHostPort(addr, "5432"))
	// It takes connections before it answers them.
	h.must("bash", "-c", "until pg_isready -q -h "+addr+"; do sleep 0.1; done")
}

// postgresPrograms is the folder of the server's programs, which are in no PATH.
func postgresPrograms() string {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(all) == 0 {
		return ""
	}
	return filepath.Dir(all[len(all)-1])
}

func (h *host) redis(addr string) {
	h.t.Helper()
	h.serve(h.command(h.t.Context(), "redis-server", "--bind", addr, "--protected-mode", "no", "--save", "", "--daemonize", "no"), net.JoinHostPort(addr, "6379"))
}

// haproxy stands before nginx on the same address: 8080 passes requests on over
// connections that it keeps, 8081 opens one for each, 8082 joins connections.
func (h *host) haproxy(addr string) {
	h.t.Helper()
	h.serve(h.command(h.t.Context(), "haproxy", "-db", "-f", h.write("haproxy.cfg", `
defaults
 mode http
 timeout connect 3s
 timeout client 10s
 timeout server 10s
frontend kept
 bind `+addr+`:8080
 default_backend kept
backend kept
 option httpchk GET /1k
 server n `+addr+`:80 check inter 200ms
frontend closed
 bind `+addr+`:8081
 option httpclose
 default_backend closed
backend closed
 option httpclose
 server n `+addr+`:80
listen joined
 mode tcp
 bind `+addr+`:8082
 server n `+addr+`:80 check inter 200ms
`)), addr+":8080", addr+":8081", addr+":8082")
}

// sshd lets root in with a key, and returns the options with which ssh does so.
func (h *host) sshd(addr string) (options string) {
	h.t.Helper()
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it confines itself
		h.t.Fatal(err)
	}
	for _, key := range []string{"host_key", "user_key"} {
		h.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(h.dir, key))
	}
	sshd, err := exec.LookPath("sshd") // it starts itself anew, and wants its whole path
	if err != nil {
		h.t.Fatal(err)
	}
	conf := h.write("sshd.conf", `HostKey `+h.dir+`/host_key
AuthorizedKeysFile `+h.dir+`/user_key.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
ListenAddress `+addr+`
MaxStartups 100
Subsystem sftp internal-sftp
`)
	h.serve(h.command(h.t.Context(), sshd, "-D", "-e", "-f", conf), net.JoinHostPort(addr, "22"))
	return "-F none -q -i " + h.dir + "/user_key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
}

// repository makes a repository of some commits below the host's directory, which git
// serves by itself, and nginx as files.
func (h *host) repository(addr string) {
	h.t.Helper()
	h.write(".gitconfig", "[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[user]\n\tname = a\n\temail = a@example.org\n")
	h.must("bash", "-ec", `git init -q --bare repo.git
git init -q work && cd work
for i in $(seq 20); do head -c 30000 /dev/urandom | base64 > f$i; git add .; git commit -qm $i; done
git push -q ../repo.git HEAD:main
cd ../repo.git && git update-server-info`)
	h.serve(h.command(h.t.Context(), "git", "daemon", "--reuseaddr", "--listen="+addr, "--base-path="+h.dir, "--export-all", "--enable=receive-pack", h.dir), net.JoinHostPort(addr, "9418"))
}
