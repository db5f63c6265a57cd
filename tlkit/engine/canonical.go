package engine

import (
	"bytes"
	"regexp"
	"strconv"
)

// drawn matches the name of a value that holds a UUID. The metrics of GoMLX's trainer draw one each
// time they are made.
var drawn = regexp.MustCompile(`%\w*uuid_[0-9a-f]{8}(?:_[0-9a-f]{4}){3}_[0-9a-f]{12}\w*`)

// uuidAt is where in such a name the UUID is.
var uuidAt = regexp.MustCompile(`uuid_[0-9a-f]{8}(?:_[0-9a-f]{4}){3}_[0-9a-f]{12}`)

// canonical returns a program in StableHLO's text form with its UUIDs numbered in order of
// appearance, for the key of the compile cache: names of values do not change what a program computes.
// Two programs have the same canonical form only if they differ in nothing else: a # is in no name.
func canonical(program []byte) []byte {
	if !bytes.Contains(program, []byte("uuid_")) {
		return program
	}
	seen := map[string]string{}
	return drawn.ReplaceAllFunc(program, func(name []byte) []byte {
		return uuidAt.ReplaceAllFunc(name, func(uuid []byte) []byte {
			number, ok := seen[string(uuid)]
			if !ok {
				number = "uuid#" + strconv.Itoa(len(seen))
				seen[string(uuid)] = number
			}
			return []byte(number)
		})
	})
}
