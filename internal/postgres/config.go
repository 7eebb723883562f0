package postgres

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// A Profile says what a cluster is for.
type Profile int

const (
	Durable    Profile = iota + 1 // for data that someone wants to keep: checksums and fsync on
	Disposable                    // for tests and drills: fast, lost when the machine stops
)

// Config says how to run a cluster. Everything is checked by Start, which reports all problems at once.
type Config struct {
	// Binaries are what Find answered; the zero value is refused.
	Binaries Binaries
	// Dir holds the cluster (in Dir/pg), its lock and its log. It is made if it does not exist. It must be an absolute path.
	Dir string
	// Profile has no default: whether data may be lost is a decision.
	Profile Profile
	// Password of the superuser "postgres". It is set when the cluster is made; later starts must give the same one.
	Password string
	// Log receives what the server says; nil means the file Dir/postgres.log, which outlives this process.
	Log io.Writer
	// Settings are added to, or replace, the profile's. Those that keep the server private are refused.
	Settings map[string]string
}

func (c Config) check() error {
	var problems []error
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Errorf("postgres: "+format, args...))
		}
	}
	say(c.Binaries.Bin == "" || c.Binaries.Major < Oldest, "Binaries must be an answer of Find")
	say(!filepath.IsAbs(c.Dir), "Dir must be an absolute path")
	say(c.Profile != Durable && c.Profile != Disposable, "Profile must be Durable or Disposable")
	say(c.Password == "" || len(c.Password) > 1000 || strings.ContainsAny(c.Password, "\n\r\x00"), "Password must be one line, not empty")
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		_, ours := private[name]
		say(ours, "Settings may not change %s, which keeps the server private", name)
		say(strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" || name == "", "Settings holds a name that is none: %q", name)
		say(strings.Contains(c.Settings[name], "\x00"), "the value of setting %s cannot be passed on", name)
	}
	return errors.Join(problems...)
}

// private settings keep others out and keep statements, which may hold passwords and personal data, out of the log (SYSTEM U5).
// Terse errors leave out DETAIL, which quotes the offending row; whoever sent the statement still receives it.
var private = map[string]string{
	"listen_addresses":                  "",
	"port":                              port,
	"unix_socket_directories":           "", // set by Start
	"unix_socket_permissions":           "0700",
	"password_encryption":               "scram-sha-256",
	"log_statement":                     "none",
	"log_min_error_statement":           "panic",
	"log_parameter_max_length":          "0",
	"log_parameter_max_length_on_error": "0",
	"log_error_verbosity":               "terse",
	"logging_collector":                 "off",
	"ssl":                               "off",
	"data_directory":                    "", // set by Start
	"hba_file":                          "", // in the data directory
}

const port = "5432" // only a part of the socket's name: nothing listens on it

// common settings suit a small server on a machine that does other work too.
var common = map[string]string{
	"max_connections":    "100",
	"shared_buffers":     "64MB",
	"random_page_cost":   "1.1", // nothing here spins; at the default, small tables are read whole for one row
	"jit":                "off", // compiling costs more than short queries take
	"wal_level":          "minimal",
	"max_wal_senders":    "0", // as wal_level demands
	"max_wal_size":       "256MB",
	"fsync":              "on",
	"full_page_writes":   "on",
	"synchronous_commit": "on",
	"timezone":           "UTC",
	"log_timezone":       "UTC",
	"log_destination":    "stderr",
	"cluster_name":       "redoubt",
}

var byProfile = map[Profile]map[string]string{
	Durable: {"min_wal_size": "32MB"},
	// Shared memory as files in the data directory, so that a server that is killed and removed leaves none in /dev/shm.
	Disposable: {"min_wal_size": "2MB", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "dynamic_shared_memory_type": "mmap"},
}

// arguments for postgres. The command line wins over postgresql.conf and ALTER SYSTEM, so what is private stays so.
func (c Config) arguments(socketDir string) []string {
	all := maps.Clone(common)
	maps.Copy(all, byProfile[c.Profile])
	maps.Copy(all, c.Settings)
	maps.Copy(all, private)
	all["unix_socket_directories"] = socketDir
	delete(all, "data_directory")
	delete(all, "hba_file")
	args := []string{"-D", c.data()}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}

func (c Config) initArguments(data, passwordFile string) []string {
	args := []string{"-D", data, "-U", Superuser, "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale"}
	if c.Profile == Disposable {
		return append(args, "--no-sync", "--wal-segsize=1")
	}
	return append(args, "--data-checksums")
}

func (c Config) data() string               { return filepath.Join(c.Dir, "pg") }
func (c Config) lock() string               { return filepath.Join(c.Dir, "postgres.lock") }
func (c Config) log() string                { return filepath.Join(c.Dir, "postgres.log") }
func (c Config) program(name string) string { return filepath.Join(c.Binaries.Bin, name) }
