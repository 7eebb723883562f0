package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// An account is the one that the server runs as. The zero account is our own.
type account struct {
	name     string
	uid, gid uint32
	other    bool // not our own: we are root and become this one at exec
}

// serverAccount chooses: our own account, unless we are root, which PostgreSQL rightly refuses. Then it is the one that owns the
// data already, or "postgres", or "nobody".
func serverAccount(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "user id " + strconv.Itoa(os.Geteuid()), uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	if info, err := os.Stat(data); err == nil && info.Sys().(*syscall.Stat_t).Uid != 0 {
		owner := info.Sys().(*syscall.Stat_t)
		return account{"user id " + strconv.Itoa(int(owner.Uid)), owner.Uid, owner.Gid, true}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if a, err := lookup(name); err == nil {
			return a, nil
		}
	}
	return account{}, problem("start it as another account than root, or make one: useradd --system postgres",
		"choosing the account of the database server: it must not be root, and neither postgres nor nobody exists")
}

func lookup(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if uid == 0 {
		return account{}, errors.New(name + " is root")
	}
	return account{name, uint32(uid), uint32(gid), true}, errors.Join(errUID, errGID)
}

// attributes make a child run as a, in its own process group, so that Ctrl-C reaches us alone and we stop the server in order.
// Supplementary groups are dropped: Go calls setgroups with none.
func (a account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if a.other {
		attributes.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attributes
}

// give makes path a's. It is only needed, and only possible, when we are root.
func (a account) give(path string) error {
	if !a.other {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// makeFolder makes a folder that only a may enter.
func (a account) makeFolder(path string) error {
	return errors.Join(os.Mkdir(path, 0o700), a.give(path))
}

// checkReach tries, as the server's account, to run the programs and to enter dir. Trying is the only honest test: modes, access
// lists and security modules all have their say.
func (a account) checkReach(c Config) error {
	if !a.other {
		return nil
	}
	if err := a.try(c.program("postgres"), "/"); err != nil {
		return problem("install PostgreSQL where every account can read it: its folder is now "+c.Binaries.Bin,
			"running postgres as %s: %w%s", a.name, err, a.blocker(c.Binaries.Bin))
	}
	if err := a.try(c.program("postgres"), c.Dir); err != nil {
		return problem("use a folder such as /var/lib/redoubt, or let others pass with chmod o+x",
			"entering %s as %s: %w%s", c.Dir, a.name, err, a.blocker(c.Dir))
	}
	return nil
}

func (a account) try(program, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, environment(), a.attributes()
	err := cmd.Run()
	// Without the path, which is of the program even if it is the folder that is closed.
	if e := new(fs.PathError); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// blocker names the outermost folder on the way to path that a may not pass, as far as modes tell.
func (a account) blocker(path string) string {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	var blocking string
	for dir := resolved; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !a.mayPass(info) {
			blocking = dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if blocking == "" {
		return ""
	}
	return fmt.Sprintf(" (the folder %s keeps it out)", blocking)
}

func (a account) mayPass(info fs.FileInfo) bool {
	owner := info.Sys().(*syscall.Stat_t)
	switch {
	case owner.Uid == a.uid:
		return info.Mode().Perm()&0o100 != 0
	case owner.Gid == a.gid:
		return info.Mode().Perm()&0o010 != 0
	}
	return info.Mode().Perm()&0o001 != 0
}

// environment of every program of PostgreSQL: nothing of ours, so that neither secrets nor PG* variables get in.
func environment() []string {
	return []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
}
