package privacy

import (
	"cmp"
	"regexp"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A home is a folder in one of these: home and Users, on Windows below the
// system drive, and media, where systems put a user's drives. The first group
// is that folder, the second is the user.
var homes = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)((?:/home|/users|/run/media|/media|\b[a-z]:[\\/]users)[\\/])([^\\/:"']+)`)
})

// shared are folders beside people's homes that are nobody's; root's is not in
// home.
var shared = map[string]bool{"public": true, "shared": true, "default": true, "all users": true, "default user": true, "linuxbrew": true}

// inHome tells whether a path is a home or lies in one.
func inHome(path string) bool {
	at := homes().FindStringSubmatchIndex(path)
	if at == nil {
		return path == "/root" || strings.HasPrefix(path, "/root/")
	}
	if strings.Contains(strings.ToLower(path[at[2]:at[3]]), "media") {
		return false
	}
	return !shared[strings.ToLower(path[at[4]:at[5]])]
}

// withoutHomes replaces the names of users in the paths that a text has.
func withoutHomes(text string, pseudonym func(string) string) string {
	if !strings.ContainsAny(text, `/\`) {
		return text
	}
	return homes().ReplaceAllStringFunc(text, func(path string) string {
		m := homes().FindStringSubmatch(path)
		if shared[strings.ToLower(m[2])] {
			return path
		}
		return m[1] + cmp.Or(pseudonym(m[2]), "somebody")
	})
}

// eachText replaces every text of a message and of those in it. Messages are
// no deeper than the schema, which has no recursion.
func eachText(m protoreflect.Message, replace func(string) string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			eachTextOfMap(f, v.Map(), replace)
		case f.IsList():
			eachTextOfList(f, v.List(), replace)
		case f.Message() != nil:
			eachText(v.Message(), replace)
		case f.Kind() == protoreflect.StringKind:
			if text := v.String(); replace(text) != text {
				m.Set(f, protoreflect.ValueOfString(replace(text)))
			}
		}
		return true
	})
}

func eachTextOfList(f protoreflect.FieldDescriptor, list protoreflect.List, replace func(string) string) {
	for i := range list.Len() {
		switch {
		case f.Message() != nil:
			eachText(list.Get(i).Message(), replace)
		case f.Kind() == protoreflect.StringKind:
			list.Set(i, protoreflect.ValueOfString(replace(list.Get(i).String())))
		}
	}
}

func eachTextOfMap(f protoreflect.FieldDescriptor, values protoreflect.Map, replace func(string) string) {
	values.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		switch {
		case f.MapValue().Message() != nil:
			eachText(v.Message(), replace)
		case f.MapValue().Kind() == protoreflect.StringKind:
			values.Set(k, protoreflect.ValueOfString(replace(v.String())))
		}
		return true
	})
}
