package api

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A page token is the base64url of: version, checksum of the rest with the
// list that the token belongs to, key of the last item of the page. A list
// goes on after that key, whether or not the item is still there, so pages stay
// stable while the fleet changes.
const (
	pageVersion  = 1
	pageHead     = 5
	maxPageToken = 2048
)

var errPageToken = status.Error(codes.InvalidArgument, "page_token is not one that this list gave out: pass next_page_token of the page before unchanged, or leave it out to begin anew")

// nextPage returns the token of the page after key in the named list.
func nextPage(list, key string) string {
	b := binary.BigEndian.AppendUint32([]byte{pageVersion}, pageSum(list, key))
	return base64.RawURLEncoding.EncodeToString(append(b, key...))
}

// pageAfter returns the key that a token of the named list goes on after.
func pageAfter(list, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	if len(token) <= maxPageToken {
		b, err := base64.RawURLEncoding.Strict().DecodeString(token)
		if err == nil && len(b) > pageHead && b[0] == pageVersion && binary.BigEndian.Uint32(b[1:]) == pageSum(list, string(b[pageHead:])) {
			return string(b[pageHead:]), nil
		}
	}
	return "", errPageToken
}

func pageSum(list, key string) uint32 { return crc32.ChecksumIEEE([]byte(list + "\x00" + key)) }

// pageSize returns how many items a page may hold: 0 asks for the default, and
// more than the most for the most (https://google.aip.dev/158).
func pageSize(asked int32, otherwise, most int) (int, error) {
	switch {
	case asked == 0:
		return otherwise, nil
	case asked < 0:
		return 0, status.Errorf(codes.InvalidArgument, "page_size is %d: ask for 1 to %d, and follow next_page_token for more", asked, most)
	}
	return min(int(asked), most), nil
}

// maxPageBytes ends a page early, so that it fits a gRPC message whatever was
// asked for; the next page goes on from there.
const maxPageBytes = 3 << 20
