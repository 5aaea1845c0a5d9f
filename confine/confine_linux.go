package confine

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// Drop gives the rights away, for all threads of the program. On an error some may be
// gone already: the program should end.
func Drop(l Limits) (o Outcome, err error) {
	root := os.Geteuid() == 0
	var to identity
	switch {
	case root:
		if to, err = find(l.User); err != nil {
			return o, err
		}
	case l.User != "":
		return o, fmt.Errorf("become user %s: only root can (leave --user out: the program runs as who started it, and drops its capabilities)", l.User)
	}
	// Before the user changes, who may not even look for the folders. This sets
	// no_new_privs as well, where the kernel knows Landlock.
	if o.Landlock, err = hold(l.Folders); err != nil {
		return o, err
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return o, fmt.Errorf("set no_new_privs: %w", err)
	}
	if root {
		// What it can never have again. Whoever may not do this has little to lose.
		for c := range cap.MaxBits() {
			if cap.DropBound(c) != nil {
				break
			}
		}
	}
	if root && to.uid != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(to.gid, to.gid, to.gid), syscall.Setresuid(to.uid, to.uid, to.uid)); err != nil {
			return o, fmt.Errorf("become user %s: %w (a container may know no other user than root: with --user root it stays root, without capabilities)", to.name, err)
		}
	}
	o.User = to.name
	// Root's went with the user; those that a file or a service gave did not. The ambient
	// ones go with the inheritable ones.
	if err := cap.NewSet().SetProc(); err != nil {
		return o, fmt.Errorf("drop all capabilities: %w", err)
	}
	for _, f := range l.Folders {
		if unix.Access(f, unix.W_OK|unix.X_OK) != nil {
			o.Closed = append(o.Closed, f)
		}
	}
	return o, check()
}

type identity struct {
	name     string
	uid, gid int
}

// find looks a user up.
func find(name string) (identity, error) {
	asked := name != ""
	if !asked {
		name = DefaultUser
	}
	u, err := user.Lookup(name)
	if err != nil {
		if v, byID := user.LookupId(name); byID == nil {
			u, err = v, nil
		}
	}
	switch {
	case err != nil && asked:
		return identity{}, fmt.Errorf("become user %s: %w (--user takes a name or a number of /etc/passwd)", name, err)
	case err != nil:
		return identity{name, 65534, 65534}, nil // what the kernel calls nobody, where there is no list
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return identity{u.Username, uid, gid}, errors.Join(err1, err2)
}

// hold has Landlock allow to read everything, which the user's rights limit, and to write
// in the folders and to the terminal; and no TCP connection and no TCP listener that is
// new.
func hold(folders []string) (bool, error) {
	rules := []landlock.Rule{
		landlock.RODirs("/"),
		landlock.RWFiles("/dev/null", "/dev/tty").IgnoreIfMissing(),
	}
	if len(folders) > 0 {
		rules = append(rules, landlock.RWDirs(folders...))
	}
	if err := landlock.V4.BestEffort().Restrict(rules...); err != nil {
		return false, fmt.Errorf("have Landlock allow to write only in %q: %w", folders, err)
	}
	// A kernel without Landlock lets the call above pass and does nothing. The version
	// of what it has is asked for like this.
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0 && version > 0, nil
}

// check looks whether it is so: a program that believes to be harmless must be.
func check() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	have := cap.GetProc()
	if d, err := have.Cf(cap.NewSet()); err != nil || d != 0 {
		return fmt.Errorf("drop all capabilities: %v are left", have)
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || n != 1 {
		return fmt.Errorf("set no_new_privs: it is %d: %v", n, err)
	}
	return nil
}
