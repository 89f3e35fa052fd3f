package facts

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	maxIndexes = 100
	// maxIndex is the size of one unpacked package index; Alpine's community
	// has 6 MB.
	maxIndex = 128 << 20
)

// learnAPKPending learns which packages have a newer version in the indexes
// that apk has fetched, /var/cache/apk or what /etc/apk/cache leads to. Alpine
// does not say what an update fixes, so severities stay unset. Pins and tagged
// repositories are not read.
func learnAPKPending(ctx context.Context, h *host.Host, d *pb.Device) error {
	var indexes []string
	var refreshed time.Time
	for _, dir := range []string{"etc/apk/cache", "var/cache/apk"} {
		entries, err := fs.ReadDir(h.FS, dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "APKINDEX.") && strings.HasSuffix(e.Name(), ".tar.gz") && len(indexes) < maxIndexes {
				indexes = append(indexes, dir+"/"+e.Name())
				refreshed = latest(refreshed, newest(h.FS, dir+"/"+e.Name()))
			}
		}
		if len(indexes) > 0 {
			break
		}
	}
	if len(indexes) == 0 {
		return fmt.Errorf("apk has no index here: %w", errors.ErrUnsupported)
	}
	bad := new(faults)
	installed := make(map[string]string)
	best := make(map[string]string)
	err := readAPK(h.FS, func(p *apkPackage) { installed[string(p.name)] = string(p.version) })
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	bad.add(err)
	for _, name := range indexes {
		err := eachTarFile(ctx, h.FS, name, ".gz", func(file string, data []byte) error {
			if file == "APKINDEX" {
				eachAPK("/"+name, data, bad, func(p *apkPackage) {
					have, ok := installed[string(p.name)]
					if v := string(p.version); ok && pkgversion.APK(v, have) > 0 && (best[string(p.name)] == "" || pkgversion.APK(v, best[string(p.name)]) > 0) {
						best[string(p.name)] = v
					}
				})
			}
			return nil
		})
		bad.add(err)
	}
	return errors.Join(bad.err(), addPending(d, namedUpdates(best), refreshed))
}

// namedUpdates makes updates of versions by name.
func namedUpdates(versions map[string]string) []*pb.PendingUpdate {
	out := make([]*pb.PendingUpdate, 0, len(versions))
	for name, version := range versions {
		out = append(out, &pb.PendingUpdate{Id: softwareText([]byte(name)), Version: softwareText([]byte(version))})
	}
	return out
}

// eachTarFile calls fn with every file of a compressed archive.
func eachTarFile(ctx context.Context, fsys fs.FS, name, ext string, fn func(file string, data []byte) error) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r, done, err := decompress(f, ext)
	if err != nil {
		return fmt.Errorf("/%s: %w", name, err)
	}
	defer done()
	var data bytes.Buffer
	for archive := tar.NewReader(io.LimitReader(r, maxIndex)); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		head, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		data.Reset()
		if _, err := data.ReadFrom(archive); err != nil {
			return fmt.Errorf("/%s: %s: %w", name, head.Name, err)
		}
		if err := fn(head.Name, data.Bytes()); err != nil {
			return err
		}
	}
}
