package host

import (
	"testing"
	"unsafe"
)

// The kernel's structures have these sizes: sizeof(struct sg_io_hdr) and
// sizeof(struct nvme_admin_cmd).
func TestKernelStructures(t *testing.T) {
	want := uintptr(88)
	if unsafe.Sizeof(uintptr(0)) == 4 {
		want = 64
	}
	if got := unsafe.Sizeof(sgHeader{}); got != want {
		t.Errorf("sg_io_hdr has %d bytes, want %d", got, want)
	}
	if got := unsafe.Sizeof(nvmeCommand{}); got != 72 {
		t.Errorf("nvme_admin_cmd has %d bytes, want 72", got)
	}
}
