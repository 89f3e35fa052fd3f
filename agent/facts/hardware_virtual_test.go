package facts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcall-itam/rollcall/agent/host"
)

// A machine that was made from a container's image carries the image's marks;
// taken for a container it would lose its serial number and UUID.
func TestContainersAreToldFromMachinesMadeOfImages(t *testing.T) {
	for name, tc := range map[string]struct{ root, want string }{
		"container on an overlay":      {"22 1 0:30 / / rw - overlay overlay rw\n23 22 8:1 /var/lib/docker/x/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n", "docker"},
		"container on a folder":        {"22 1 0:31 /@/x / rw - btrfs /dev/sda1 rw\n", "docker"},
		"machine on a disk of its own": {"22 1 253:0 / / rw - ext4 /dev/vda rw\n", ""},
		"no list of mounts":            {"", "docker"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{".dockerenv": ""}
			if tc.root != "" {
				files["proc/1/mountinfo"] = tc.root
			}
			for path, content := range files {
				path = filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			h, err := host.Captured(dir, "linux")
			if err != nil {
				t.Fatal(err)
			}
			if got := detectContainer(h); got != tc.want {
				t.Errorf("container %q, want %q", got, tc.want)
			}
		})
	}
}
