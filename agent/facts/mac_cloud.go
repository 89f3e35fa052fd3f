package facts

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ec2Instances has a folder for each instance that a disk was started as, where
// Amazon's own starter for macOS notes what it did.
const ec2Instances = "usr/local/aws/ec2-macos-init/instances"

// learnMacCloud tells which instance of AWS, the one cloud that rents Macs as
// instances, this is: the last one that the disk was started as.
func learnMacCloud(_ context.Context, h *host.Host, d *pb.Device) error {
	folders, err := firstEntries(h.FS, ec2Instances, maxEntries)
	if err != nil && !missing(err) {
		return fmt.Errorf("list /%s: %w", ec2Instances, err)
	}
	var id string
	var newest time.Time
	for _, f := range folders {
		if !f.IsDir() || !strings.HasPrefix(f.Name(), "i-") {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return fmt.Errorf("look at /%s: %w", path.Join(ec2Instances, f.Name()), err)
		}
		if id == "" || info.ModTime().After(newest) {
			id, newest = f.Name(), info.ModTime()
		}
	}
	if id == "" {
		return fmt.Errorf("no sign of a cloud: %w", errors.ErrUnsupported)
	}
	hardware(d).Cloud = &pb.Cloud{Provider: "aws", InstanceId: plainText([]byte(id))}
	return nil
}
