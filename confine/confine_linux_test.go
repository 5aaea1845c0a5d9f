package confine_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/tcplife/tcplife/confine"
)

// What Drop does cannot be undone, so a child does it: this test binary again.
const childFolder = "TCPLIFE_CONFINE_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		child(folder)
		return
	}
	os.Exit(m.Run())
}

// child gives its rights away, and says what it can do then.
func child(folder string) {
	say := func(what string, err error) { fmt.Printf("%s: %v\n", what, err) }
	for range 4 { // threads that are there before
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		say("listen before", err)
		return
	}
	defer listener.Close()
	o, err := confine.Drop(confine.Limits{User: os.Getenv("TCPLIFE_CONFINE_USER"), Folders: []string{folder + "/in", folder + "/roots"}})
	if err != nil {
		say("drop", err)
		return
	}
	fmt.Printf("user %s, landlock %v, closed %q\n", o.User, o.Landlock, o.Closed)
	for range 4 { // and those that come later
		started := make(chan bool)
		go func() {
			runtime.LockOSThread()
			close(started)
			select {}
		}()
		<-started
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	fmt.Printf("threads %v\n", len(tasks) >= 8)
	wanted := regexp.MustCompile(`(?m)^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs):[ \t]*(.*?)[ \t]*$`)
	seen := map[string]bool{}
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err != nil {
			say("status", err)
		}
		for _, m := range wanted.FindAllStringSubmatch(string(status), -1) {
			if line := m[1] + " " + strings.Join(strings.Fields(m[2]), " "); !seen[line] {
				seen[line] = true
				fmt.Println(line)
			}
		}
	}
	say("write in", os.WriteFile(folder+"/in/file", nil, 0o600))
	say("write out", os.WriteFile(folder+"/out/file", nil, 0o600))
	_, err = os.ReadFile(folder + "/out/readable")
	say("read", err)
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // which Landlock does not look at
	_, err = plain.Listen(context.Background(), "tcp", "127.0.0.1:0")
	say("listen", err)
}

func TestDrop(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("wants root, to have rights to give away")
	}
	folder, err := os.MkdirTemp("", "confine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	for name, mode := range map[string]os.FileMode{"": 0o755, "in": 0o777, "out": 0o777, "roots": 0o700} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(folder+"/out/readable", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out := start(t, folder, "")
	for _, want := range []string{
		"user nobody, landlock ", fmt.Sprintf("closed [%q]", folder+"/roots"), "threads true",
		"Uid 65534 65534 65534 65534", "Gid 65534 65534 65534 65534", "NoNewPrivs 1",
		"CapInh 0000000000000000", "CapPrm 0000000000000000", "CapEff 0000000000000000", "CapBnd 0000000000000000", "CapAmb 0000000000000000",
		"write in: <nil>", "read: <nil>",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not said", want)
		}
	}
	for _, field := range []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"} {
		if n := strings.Count("\n"+out, "\n"+field+" ") + strings.Count("\n"+out, "\n"+field+"\n"); n > 1 {
			t.Errorf("%s is not the same for all threads", field)
		}
	}
	if strings.Contains(out, "landlock true") {
		for _, want := range []string{"write out: open " + folder + "/out/file: permission denied", "listen: listen tcp 127.0.0.1:0: bind: permission denied"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not said", want)
			}
		}
	} else if os.Getenv("TCPLIFE_CI") == "" {
		t.Log("this kernel has no Landlock")
	}
	if t.Failed() {
		t.Log(out)
	}
	if out := start(t, folder, "nosuchuser"); !strings.Contains(out, "drop: become user nosuchuser: ") {
		t.Errorf("a user that there is not: %s", out)
	}
	if out := start(t, folder, "root"); !strings.Contains(out, "user root, ") || !strings.Contains(out, "Uid 0 0 0 0") || !strings.Contains(out, "CapEff 0000000000000000") || !strings.Contains(out, "CapPrm 0000000000000000") {
		t.Errorf("root that stays root: %s", out)
	}
	if out := start(t, folder, "65534"); !strings.Contains(out, "Uid 65534 65534") {
		t.Errorf("a user by number: %s", out)
	}
}

func start(t *testing.T, folder, user string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Where the test binary lies another user may not look; it is running by then.
	c := exec.Command(self)
	c.Env = append(os.Environ(), childFolder+"="+folder, "TCPLIFE_CONFINE_USER="+user)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, &stderr)
	}
	return string(out)
}
