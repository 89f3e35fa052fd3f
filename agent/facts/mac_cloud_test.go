package facts

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// An image that was taken of an instance has that one's folder too.
func TestMacCloud(t *testing.T) {
	folder := func(hour int) *fstest.MapFile {
		return &fstest.MapFile{Mode: fs.ModeDir | 0o755, ModTime: time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC)}
	}
	fact := func(h *host.Host, d *pb.Device) error { return learnMacCloud(t.Context(), h, d) }
	got, err := learn(t, fact, fstest.MapFS{
		ec2Instances + "/i-0a1b2c3d4e5f60718": folder(9), ec2Instances + "/i-0ffffffffffffffff": folder(3), ec2Instances + "/tmp": folder(11),
	})
	if c := got.GetHardware().GetCloud(); err != nil || c.GetProvider() != "aws" || c.GetInstanceId() != "i-0a1b2c3d4e5f60718" {
		t.Errorf("%v, error %v", c, err)
	}
	if got, err = learn(t, fact, fstest.MapFS{}); err == nil || got.Hardware != nil {
		t.Errorf("a Mac on a desk: %v, error %v", got, err)
	}
}
