package postgres

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds on what an archive may unpack to: the package has 1029 files, 59 MB, and 14 links.
const (
	mostFiles  = 5000
	mostBytes  = 512 << 20
	mostLinks  = 200
	linksPlace = "package/native/pg-symlinks.json"
)

// unpack writes the archive's files into dir. Everything goes through os.Root, so no name and no link leads outside; nothing but
// files and folders is taken, and no file's mode but "executable".
func unpack(archive io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("reading archive: %w", err)
	}
	files := tar.NewReader(io.LimitReader(unzipped, mostBytes))
	for count := 0; ; count++ {
		header, err := files.Next()
		if err == io.EOF {
			return errors.Join(openFolders(root), link(root))
		}
		if err != nil {
			return fmt.Errorf("reading archive: %w", err)
		}
		if count == mostFiles {
			return fmt.Errorf("reading archive: more than %d files", mostFiles)
		}
		if err := unpackOne(root, header, files); err != nil {
			return err
		}
	}
}

func unpackOne(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if !filepath.IsLocal(name) || strings.Contains(name, `\`) {
		return errors.New("reading archive: a name in it leads outside")
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
	default:
		return errors.New("reading archive: it holds something other than files and folders")
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if header.FileInfo().Mode()&0o111 != 0 || strings.HasPrefix(name, "package/native/bin/") {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	// Chmod, because the mode above is cut by the umask and the server's account must be able to read the programs.
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// openFolders lets every account in, whatever the umask says: the server runs as another account than root.
func openFolders(root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return root.Chmod(name, 0o755)
	})
}

// link makes the links between libraries, which npm packages cannot hold and list in a file instead.
func link(root *os.Root) error {
	f, err := root.Open(linksPlace)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var links []struct{ Source, Target string }
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&links); err != nil {
		return fmt.Errorf("reading list of links: %w", err)
	}
	if len(links) > mostLinks {
		return fmt.Errorf("reading list of links: more than %d", mostLinks)
	}
	for _, l := range links {
		if err := linkOne(root, path.Join("package", l.Source), path.Join("package", l.Target)); err != nil {
			return err
		}
	}
	return nil
}

// linkOne links target to source, both inside the package's libraries.
func linkOne(root *os.Root, source, target string) error {
	for _, name := range []string{source, target} {
		if !strings.HasPrefix(name, "package/native/lib/") {
			return errors.New("reading list of links: a link in it leads outside the libraries")
		}
	}
	to, err := filepath.Rel(path.Dir(target), source)
	if err != nil {
		return err
	}
	return root.Symlink(to, target)
}
