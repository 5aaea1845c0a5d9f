//go:build linux && !race

package everyday

import (
	"fmt"
	"testing"
	"time"
)

// What people do with programs, some of it many times. Every loop ends at the first
// failure.
var scenes = []scene{
	{
		name: "web", snap: 128,
		// Over a wire of 2 ms, by IPv4 and IPv6.
		at: func(t *testing.T, dir string) (*host, string) {
			client, server := newHost(t, dir), newHost(t, dir)
			wire(t, client, server, 2*time.Millisecond, []string{"10.1.0.1/24", "2001:db8::1/64"}, []string{"10.1.0.2/24", "2001:db8::2/64"})
			server.nginx("10.1.0.2", "2001:db8::2")
			return client, "eth0"
		},
		steps: []step{
			{"one page for each process", times(60, `curl -sfo /dev/null http://10.1.0.2/10k && curl -sfo /dev/null -g 'http://[2001:db8::2]/1k'`)},
			{"the same, TLS 1.3", times(50, `curl -sfko /dev/null https://10.1.0.2/10k`)},
			{"the same, TLS 1.2", times(30, `curl -sfko /dev/null -g 'https://[2001:db8::2]:444/10k'`)},
			{"one connection for each page, closed by the server", `curl -sfo /dev/null -H 'Connection: close' 'http://10.1.0.2/1k?[1-400]'`},
			{"many at a time", `curl -sfZ --parallel-max 10 -o /dev/null -H 'Connection: close' 'http://[2001:db8::2]/10k?[1-1200]'`},
			{"many at a time, TLS 1.3", `curl -sfkZ --http1.1 --parallel-max 8 -o /dev/null -H 'Connection: close' 'https://10.1.0.2/10k?[1-600]'`},
			{"many at a time, TLS 1.2", `curl -sfkZ --parallel-max 8 -o /dev/null -H 'Connection: close' 'https://10.1.0.2:444/10k?[1-600]'`},
			{"HTTP/1.0", `curl -sf0 -o /dev/null 'http://10.1.0.2/1k?[1-200]'`},
			{"many pages on one connection", times(20, `curl -sfo /dev/null 'http://10.1.0.2/100k?[1-12]'`)},
			{"many pages on one connection, HTTP/2", times(15, `curl -sfkZ -o /dev/null 'https://10.1.0.2/10k?[1-24]'`)},
			{"only the headers", times(20, `curl -sfI http://10.1.0.2/10k`)},
			{"part of a page", times(20, `curl -sf -r 1000-5000 -o /dev/null http://10.1.0.2/100k`)},
			{"a page that does not exist", times(20, `curl -so /dev/null http://10.1.0.2/absent`)},
			{"large downloads", `curl -sfo /dev/null 'http://10.1.0.2/5m?[1-3]' && curl -sfko /dev/null https://10.1.0.2/5m`},
			{"uploads", times(5, `curl -sf -T html/5m http://10.1.0.2/up && curl -sfk -T html/100k https://10.1.0.2/up`)},
			{"forms", times(20, `curl -sf -d a=b http://10.1.0.2/up`)},
			{"idle until the server closes", `curl -sfo /dev/null --rate 40/m 'http://10.1.0.2:81/1k?[1-5]'`},
			{"idle until the server closes, TLS", times(5, `(printf 'GET /1k HTTP/1.1\r\nHost: x\r\n\r\n'; sleep 1.3) | openssl s_client -quiet -connect 10.1.0.2:444 2>/dev/null`)},
		},
	},
	{
		name: "databases", snap: 262144,
		// Between two hosts with offload, as between virtual machines on one.
		at: func(t *testing.T, dir string) (*host, string) {
			client, server := newHost(t, dir), newHost(t, dir)
			cable(client, server, "10.2.0.1/24", "10.2.0.2/24")
			server.postgres("10.2.0.2")
			server.redis("10.2.0.2")
			return client, "eth0"
		},
		steps: []step{
			{"pgbench -i", `pgbench -q -i -h 10.2.0.2 -U postgres postgres`},
			{"pgbench", `pgbench -n -c 8 -t 60 -h 10.2.0.2 -U postgres postgres`},
			{"pgbench, a connection for each transaction", `pgbench -n -C -c 4 -t 100 -h 10.2.0.2 -U postgres postgres`},
			{"the same, only reading", `pgbench -n -S -C -c 6 -t 150 -h 10.2.0.2 -U postgres postgres`},
			{"psql, one statement", times(40, `psql -Atq -h 10.2.0.2 -U postgres -c 'select 1' postgres`)},
			{"psql, a table", times(5, `psql -Atq -h 10.2.0.2 -U postgres -c 'copy (select * from pgbench_accounts limit 20000) to stdout' postgres`)},
			{"psql, a wrong statement", times(10, `! psql -Atq -h 10.2.0.2 -U postgres -c 'select 1/0' postgres`)},
			{"psql, an unknown database", times(10, `! psql -Atq -h 10.2.0.2 -U postgres -c 'select 1' absent`)},
			{"pg_isready", times(30, `pg_isready -q -h 10.2.0.2 -U postgres`)},
			{"pg_dump", `pg_dump -h 10.2.0.2 -U postgres postgres`},
			{"redis-benchmark", `redis-benchmark -h 10.2.0.2 -q -n 2000 -c 50 -t set,get,incr,lpush`},
			{"redis-benchmark, a connection for each request", `redis-benchmark -h 10.2.0.2 -q -k 0 -n 1200 -c 20 -t set,get`},
			{"redis-benchmark, a pipeline", `redis-benchmark -h 10.2.0.2 -q -n 20000 -P 16 -c 20 -t get`},
			{"redis-cli, one command", times(100, `redis-cli -h 10.2.0.2 set k v`)},
			{"redis-cli, with goodbye", times(30, `printf 'GET k\nQUIT\n' | redis-cli -h 10.2.0.2`)},
			{"redis-cli, a subscriber that is ended", times(5, `! timeout 0.5 redis-cli -h 10.2.0.2 subscribe c`)},
		},
	},
	{
		name: "proxies", snap: 96,
		// All on one host, where segments are of up to 64 kB.
		at: func(t *testing.T, dir string) (*host, string) {
			h := newHost(t, dir)
			h.nginx("127.0.0.1", "::1")
			h.haproxy("127.0.0.1")
			h.redis("127.0.0.1")
			return h, "lo"
		},
		steps: []step{
			{"through the proxy, connections kept", `curl -sfZ --parallel-max 8 -o /dev/null 'http://127.0.0.1:8080/10k?[1-500]'`},
			{"through the proxy, a process for each page", times(100, `curl -sfo /dev/null http://127.0.0.1:8080/1k`)},
			{"through the proxy, a connection for each page", `curl -sfZ --parallel-max 8 -o /dev/null 'http://127.0.0.1:8081/10k?[1-800]'`},
			{"joined by the proxy", `curl -sfZ --parallel-max 8 -o /dev/null -H 'Connection: close' 'http://127.0.0.1:8082/100k?[1-600]'`},
			{"without the proxy", `curl -sfo /dev/null -H 'Connection: close' 'http://127.0.0.1/1k?[1-600]'`},
			{"TLS", `curl -sfk -o /dev/null --http1.1 -H 'Connection: close' 'https://[::1]/10k?[1-300]'`},
			{"HTTP/1.0", `curl -sf0 -o /dev/null 'http://[::1]/10k?[1-200]'`},
			{"large", `curl -sfo /dev/null 'http://127.0.0.1:8080/5m?[1-4]'`},
			{"uploads", times(5, `curl -sf -T html/5m http://127.0.0.1:8080/up`)},
			{"redis-benchmark, a connection for each request", `redis-benchmark -q -k 0 -n 1000 -c 20 -t set,get`},
			{"all at once", `curl -sfZ --parallel-max 8 -o /dev/null -H 'Connection: close' 'http://127.0.0.1:8081/1k?[1-300]' & proxied=$!
curl -sfk -o /dev/null --http1.1 -H 'Connection: close' 'https://[::1]/1k?[1-100]' & direct=$!
redis-benchmark -q -n 3000 -t set && wait $proxied && wait $direct`},
		},
	},
	{
		name: "shells", snap: 262144,
		// Over a wire of 4 ms.
		at: func(t *testing.T, dir string) (*host, string) {
			client, server := newHost(t, dir), newHost(t, dir)
			wire(t, client, server, 4*time.Millisecond, []string{"10.3.0.1/24"}, []string{"10.3.0.2/24"})
			server.repository("10.3.0.2")
			server.nginx("10.3.0.2")
			options := server.sshd("10.3.0.2")
			server.write("ssh", "#!/bin/sh\nexec ssh "+options+" \"$@\"\n")
			server.must("chmod", "755", "ssh")
			return client, "eth0"
		},
		steps: []step{
			{"ssh, one command", times(8, `./ssh root@10.3.0.2 true`)},
			{"ssh, much output", times(5, `[ $(./ssh root@10.3.0.2 head -c 500000 /dev/zero | wc -c) = 500000 ]`)},
			{"ssh, a terminal", times(5, `(echo ls; sleep 0.2; echo date; sleep 0.2; echo exit) | ./ssh -tt root@10.3.0.2`)},
			{"ssh, ended by a signal", times(3, `rm -f up; ./ssh -N -o PermitLocalCommand=yes -o LocalCommand='touch up' root@10.3.0.2 & until [ -e up ]; do sleep 0.1; done; sleep 1; kill $!; wait $! || true`)},
			{"ssh, a wrong key", times(3, `! ./ssh -i /dev/null -o IdentitiesOnly=yes nobody@10.3.0.2 true`)},
			{"scp, both ways", times(3, `scp -q -S $PWD/ssh root@10.3.0.2:$PWD/html/100k copy && scp -q -S $PWD/ssh copy root@10.3.0.2:/dev/null`)},
			{"git clone", times(8, `rm -rf clone && git clone -q git://10.3.0.2/repo.git clone`)},
			{"git clone by HTTP", times(4, `rm -rf clone && git clone -q http://10.3.0.2/dir/repo.git clone`)},
			{"git clone by ssh", `export GIT_SSH=$PWD/ssh; ` + times(3, `rm -rf clone && git clone -q ssh://root@10.3.0.2$PWD/repo.git clone`)},
			{"git ls-remote", times(15, `git ls-remote -q git://10.3.0.2/repo.git`)},
			{"git fetch, nothing new", times(8, `git -C clone fetch -q git://10.3.0.2/repo.git`)},
			{"git push", `cd clone; ` + times(4, `date +%N > now && git add now && git commit -qm now && git push -q git://10.3.0.2/repo.git HEAD:main`)},
		},
	},
}

// times repeats a line until it fails.
func times(n int, line string) string {
	return fmt.Sprintf("for i in $(seq %d); do { %s; } || exit 1; done", n, line)
}
