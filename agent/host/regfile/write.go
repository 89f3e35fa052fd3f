package regfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
)

const versionLine = "Windows Registry Editor Version 5.00"

// bytesPerLine is how many bytes of a value stand on one line.
const bytesPerLine = 24

// Write writes a file in UTF-8, which Parse reads as what was written.
func Write(w io.Writer, keys []Key) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s\r\n", versionLine)
	for _, k := range keys {
		fmt.Fprintf(out, "\r\n[%s]\r\n", oneLine.Replace(k.Path))
		if !k.Written.IsZero() {
			fmt.Fprintf(out, "%s%s\r\n", commentWritten, k.Written.UTC().Format(time.RFC3339Nano))
		}
		if k.Failed != "" {
			fmt.Fprintf(out, "%s%s\r\n", commentFailed, oneLine.Replace(k.Failed))
		}
		for _, v := range k.Values {
			v.write(out)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write a registry file: %w", err)
	}
	return nil
}

var (
	oneLine = strings.NewReplacer("\r", " ", "\n", " ")
	escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
)

func (v Value) write(out *bufio.Writer) {
	if v.Name == "" {
		fmt.Fprint(out, "@")
	} else {
		fmt.Fprintf(out, `"%s"`, escapes.Replace(oneLine.Replace(v.Name)))
	}
	fmt.Fprint(out, "=")
	switch text, ok := plainText(v.Data); {
	case v.Type == TypeString && ok:
		fmt.Fprintf(out, "\"%s\"\r\n", escapes.Replace(text))
		return
	case v.Type == TypeDWord && len(v.Data) == 4:
		fmt.Fprintf(out, "dword:%08x\r\n", binary.LittleEndian.Uint32(v.Data))
		return
	case v.Type == TypeBinary:
		fmt.Fprint(out, "hex:")
	default:
		fmt.Fprintf(out, "hex(%x):", v.Type)
	}
	for i, b := range v.Data {
		switch {
		case i > 0 && i%bytesPerLine == 0:
			fmt.Fprint(out, ",\\\r\n  ")
		case i > 0:
			fmt.Fprint(out, ",")
		}
		fmt.Fprintf(out, "%02x", b)
	}
	fmt.Fprint(out, "\r\n")
}

// plainText returns the text of a value that can be written between quotes and
// is read as the same bytes again: others are written in hex.
func plainText(data []byte) (string, bool) {
	if len(data) < 2 || len(data)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(data)/2-1)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	text := string(utf16.Decode(units))
	if strings.ContainsAny(text, "\x00\r\n") || !bytes.Equal(Text(text), data) {
		return "", false
	}
	return text, true
}
