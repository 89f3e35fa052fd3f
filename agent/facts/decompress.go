package facts

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/rollcall-itam/rollcall/agent/facts/lz4"
)

// maxZstdWindow bounds the memory that a zstd stream can ask for; package
// managers write with 8 MiB at most.
const maxZstdWindow = 32 << 20

// decompress returns what a stream holds that is named with the extension ext:
// nothing for one that is not compressed. The function frees what it took.
func decompress(r io.Reader, ext string) (io.Reader, func(), error) {
	nothing := func() {}
	switch ext {
	case "":
		return r, nothing, nil
	case ".lz4":
		out, err := lz4.NewReader(r)
		if err != nil {
			return nil, nothing, err
		}
		return out, nothing, nil
	case ".gz":
		out, err := gzip.NewReader(r)
		if err != nil {
			return nil, nothing, fmt.Errorf("gzip: %w", err)
		}
		return out, nothing, nil
	case ".zst":
		out, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, nothing, fmt.Errorf("zstd: %w", err)
		}
		return out, out.Close, nil
	}
	return nil, nothing, fmt.Errorf("files compressed as %s are not read", ext)
}
