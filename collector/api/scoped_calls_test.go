package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// sorted says of each call what it is about, so that nobody changes that, or adds
// a call, without a thought: whole is closed to who may see a part.
var sorted = map[reach]string{
	nothing: "GetCaller GetAdvisoryStatus SignOut ListViews GetView CreateView UpdateView DeleteView",
	whole: "PutSource ListSources TryRules PutRule DeleteRule ListFeeds RunFeed PauseFeed CreateFeed UpdateFeed DeleteFeed TestFeed PreviewObservations " +
		"ListAudit VerifyAudit AssertPerson ErasePerson ListErasures DeleteErasure CreateToken ListTokens RevokeToken RevokeSessions " +
		"ListSubscriptions GetSubscription CreateSubscription PauseSubscription DeleteSubscription TestSubscription RotateSubscriptionSecret ListDeadLetters RetryDeadLetters",
	part: "ListAssets GroupAssets ListSoftware ListSoftwareAssets GetAsset ListAssetSoftware GetAssetSourceStates ExplainAsset GetAssetHistory AssertAsset " +
		"ListStatements DeleteStatement DeleteObservation ListFindings GroupFindings WaiveFinding AcknowledgeFinding ReopenFinding GetCompliance ListRules " +
		"WatchChanges ExportAssets GetServerInfo ListAgents RevokeAgent ListPeople GetPerson GetPersonContext ExplainPerson GetPersonHistory ListAssetVulnerabilities ListVulnerabilities GetVulnerability",
}

// No call, whatever it is asked, tells of what is outside its caller's scope,
// or changes it.
func TestNoCallLeavesItsScope(t *testing.T) {
	w := newSites(t)
	w.must("POST", "/v1/assets/"+w.outside+":assert", `{"not_same_as":["`+w.inside+`"]}`)
	w.must("POST", "/v1/assets/"+w.outside+":assert", `{"set":{"stage":"in_stock"}}`)
	said := w.must("GET", "/v1/statements", "")["statements"].([]any)[0].(map[string]any)["id"].(string)
	agents := w.report("outside-agent")
	before := w.must("GET", "/v1/assets/"+w.outside, "")
	conn := dial(t, w.service)
	names := []string{"", w.outside, "outside@example.com", `CORP\outside`, w.unshared, w.outside + ".encrypted", "outside-agent", said, agents}
	methods := adminpb.File_rollcall_v1_admin_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		g, known := grants[adminService+string(m.Name())]
		if !known || !slices.Contains(strings.Fields(sorted[g.reach]), string(m.Name())) {
			t.Errorf("%s: nobody decided whether it is about assets: set reach in grants, and name it in sorted", m.Name())
			continue
		}
		for _, name := range names {
			answers, err := w.invoke(conn, m, name)
			if g.reach == whole && status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s is about the whole fleet and answers %v", m.Name(), err)
			}
			text := strings.ToLower(fmt.Sprint(answers, " ", err))
			// An error may say again what was asked.
			short, _, _ := strings.Cut(name, ".")
			for _, asked := range []string{"jamf/outside3", name, short, strings.ReplaceAll(name, `\`, `\\`)} {
				if asked != "" {
					text = strings.ReplaceAll(text, strings.ToLower(asked), "")
				}
			}
			if strings.Contains(text, "outside") || name == "" && strings.Contains(text, w.outside) {
				t.Errorf("%s of %q tells of what is outside: %s", m.Name(), name, text)
			}
		}
	}
	after := w.must("GET", "/v1/assets/"+w.outside, "")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("what is outside was changed:\n%v\n%v", before, after)
	}
	if n := len(w.must("GET", "/v1/statements", "")["statements"].([]any)); n != 1 {
		t.Errorf("%d statements are left", n)
	}
}

// invoke calls a method with a name in every field that may take one, as an
// admin of berlin, and returns all that it answers.
func (w *sites) invoke(conn *grpc.ClientConn, m protoreflect.MethodDescriptor, name string) (answers []string, err error) {
	w.t.Helper()
	request, answer := w.message(m.Input()), w.message(m.Output())
	fields := request.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		switch f := fields.Get(i); f.Name() {
		case "id", "asset":
			request.ProtoReflect().Set(f, protoreflect.ValueOfString(name))
		case "source_id":
			request.ProtoReflect().Set(f, protoreflect.ValueOfString("outside3"))
		case "source":
			request.ProtoReflect().Set(f, protoreflect.ValueOfString("jamf"))
		case "reason":
			request.ProtoReflect().Set(f, protoreflect.ValueOfString("because"))
		case "once":
			request.ProtoReflect().Set(f, protoreflect.ValueOfBool(true))
		case "cursor":
			request.ProtoReflect().Set(f, protoreflect.ValueOfString(oldest))
		case "clear":
			request.ProtoReflect().Mutable(f).List().Append(protoreflect.ValueOfString("stage"))
		}
	}
	ctx := metadata.AppendToOutgoingContext(w.t.Context(), "authorization", "Bearer "+w.berlin)
	path := adminService + string(m.Name())
	if !m.IsStreamingServer() {
		err = conn.Invoke(ctx, path, request, answer)
		return []string{shown(answer)}, err
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return nil, err
	}
	if err = stream.SendMsg(request); err == nil {
		err = stream.CloseSend()
	}
	for err == nil {
		if err = stream.RecvMsg(answer); err == nil {
			answers = append(answers, shown(answer))
		}
	}
	return answers, err
}

// shown is a message as its reader sees it; a part of a file is its text.
func shown(m proto.Message) string {
	if chunk, ok := m.(*adminpb.ExportChunk); ok {
		return string(chunk.GetData())
	}
	return jsonText.Format(m)
}

func (w *sites) message(d protoreflect.MessageDescriptor) proto.Message {
	w.t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		w.t.Fatal(err)
	}
	return kind.New().Interface()
}

// An asset that comes into a scope appears, and one that leaves it is gone; what
// happens to it elsewhere is not told.
func TestAssetsEnterAndLeaveAScope(t *testing.T) {
	w := newSites(t)
	position := w.followAs(w.reader, "once=true")
	_ = position.kinds()
	live := w.followAs(w.reader, "cursor="+position.id)
	move := func(id, site string) {
		w.must("POST", "/v1/assets/"+id+":assert", `{"set":{"labels":{"site":"`+site+`"}}}`)
	}
	w.must("POST", "/v1/assets/"+w.outside+":assert", `{"set":{"stage":"in_repair"}}`)
	move(w.inside, "paris")
	w.must("POST", "/v1/assets/"+w.inside+":assert", `{"set":{"stage":"in_repair"}}`)
	move(w.outside, "berlin")
	w.must("POST", "/v1/assets/"+w.outside+":assert", `{"set":{"stage":"in_stock"}}`)
	// What happened to it before it came may be told, as its history is.
	var got []string
	for len(got) < 3 {
		e, ok := live.next()
		if !ok {
			t.Fatalf("the stream ended after %v", got)
		}
		switch {
		case e.AssetID == w.inside && e.Kind == "gone" && e.AssetName == "" && len(e.Fields) == 0, e.AssetID == w.outside:
			if e.Kind != "changed" || slices.Contains(got, "appeared") {
				got = append(got, e.Kind)
			}
		default:
			t.Errorf("told: %+v", e)
		}
	}
	if want := []string{"gone", "appeared", "changed"}; !slices.Equal(got, want) {
		t.Errorf("told: %v, want %v", got, want)
	}
	again := w.followAs(w.reader, "once=true&kinds=created&kinds=withdrawn&cursor="+position.id).kinds()
	if !slices.Contains(again, "gone") {
		t.Errorf("told again: %v", again)
	}
	if kinds := w.follow("once=true&cursor="+position.id, "").kinds(); slices.Contains(kinds, "gone") || slices.Contains(kinds, "appeared") {
		t.Errorf("who sees all is told: %v", kinds)
	}
	// What ended in the scope left a past that is still seen there, and only there.
	at := time.Now().UTC().Format(time.RFC3339)
	if code, out := w.as(w.reader, "GET", "/v1/assets/"+w.inside+":history", ""); code != 404 {
		t.Errorf("the past of what left: %d %v", code, out)
	}
	if code, out := w.as(w.reader, "GET", "/v1/assets?as_of="+at, ""); code != 200 || strings.Contains(fmt.Sprint(out), w.inside) {
		t.Errorf("as of now: %d %v", code, out)
	}
}

func (w *world) followAs(token, query string) *sse {
	w.t.Helper()
	mine := w.admin
	w.admin = token
	defer func() { w.admin = mine }()
	return w.follow(query, "")
}
