package catalog

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/expiry"
	"github.com/rollcall-itam/rollcall/collector/merge"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ExpireBy sets when assets of which nothing is heard expire; without it none
// does. It is to be called before anything is filed.
func (c *Catalog) ExpireBy(p *expiry.Policy) { c.expiry = p }

// age gives a merged asset the stage that its silence puts it in, and tells when
// it expires, or did; zero for never.
func (c *Catalog) age(a *pb.Asset, stmts []merge.Statement) time.Time {
	if c.expiry == nil {
		return time.Time{}
	}
	var heard time.Time
	for _, s := range stmts {
		if merge.Repeats(s.Kind) && s.Heard.After(heard) {
			heard = s.Heard
		}
	}
	e := c.expiry.Of(a, heard)
	if e.At.IsZero() || e.At.After(c.now()) {
		return e.At
	}
	a.ExpiredAt = timestamppb.New(e.At)
	// Where somebody states the stage, that stands.
	if a.GetProvenance()["stage"] == nil {
		a.Stage, a.StageSince = e.Stage, a.ExpiredAt
	}
	return e.At
}
