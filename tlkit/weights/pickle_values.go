package weights

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// The values of a pickle. The stack and the memo also contain bool, int64, float64, string and
// []byte.
type (
	none   struct{}
	bigInt []byte // LONG of more than 8 bytes, little-endian: torch's magic number is one

	// global is the name of a Python class or function, and nothing but a name.
	global struct{ module, name string }

	// object stands for the result of an unknown class or function: its name, arguments and
	// state. It is inert.
	object struct {
		class global
		args  tuple
		state any
		items *dict // set by SETITEM(S): subclasses of dict
	}

	tuple []any
	list  struct{ values []any }
	set   struct{ values []any }

	// dict keeps the entries with text keys in order and only counts the others, since the names of
	// tensors are text.
	dict struct {
		keys   []string
		values []any
		index  map[string]int
		other  int
	}

	// pickledTensor is a tensor that still has to be checked against its storage.
	pickledTensor struct {
		storage *pickledStorage
		dtype   string // overrides the storage's, for untyped storages
		offset  int64
		shape   []int64
		stride  []int64
	}
)

func (g global) String() string { return g.module + "." + g.name }

func (d *dict) put(key, value any) {
	k, ok := key.(string)
	if !ok {
		d.other++
		return
	}
	if i, ok := d.index[k]; ok {
		d.values[i] = value
		return
	}
	if d.index == nil {
		d.index = map[string]int{}
	}
	d.index[k] = len(d.keys)
	d.keys = append(d.keys, k)
	d.values = append(d.values, value)
}

func (d *dict) get(key string) any {
	if d == nil {
		return nil
	}
	if i, ok := d.index[key]; ok {
		return d.values[i]
	}
	return nil
}

// shown describes a value for messages: a number by its value, anything else by its type.
func shown(v any) string {
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	if b, ok := v.(bigInt); ok {
		return fmt.Sprintf("an integer of %d bytes", len(b))
	}
	return kind(v)
}

// kind describes a value for messages.
func kind(v any) string {
	switch v := v.(type) {
	case nil, none:
		return "None"
	case bool:
		return "a bool"
	case int64, bigInt:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "a string"
	case []byte:
		return "bytes"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *set:
		return "a set"
	case *dict:
		return "a dict"
	case *pickledTensor:
		return "a tensor"
	case *pickledStorage:
		return "a storage"
	case global:
		return "the Python name " + words.Quote(v.String())
	case *object:
		return "an object of the Python class " + words.Quote(v.class.String())
	}
	return "an unknown value"
}

// dangerous reports whether a name does not belong in a file of weights: a pickle that calls it
// was made to attack users of Python. It cannot do so here, but it is refused.
func dangerous(g global) bool {
	top, _, _ := strings.Cut(g.module, ".")
	switch top {
	case "os", "posix", "nt", "ntpath", "posixpath", "subprocess", "sys", "socket", "shutil", "pty", "runpy", "commands",
		"webbrowser", "importlib", "ctypes", "multiprocessing", "asyncio", "pickle", "_pickle", "cPickle", "dill", "cloudpickle",
		"marshal", "codeop", "timeit", "pdb", "bdb", "pip", "tempfile", "requests", "urllib",
		"urllib2", "httplib", "http", "ftplib", "smtplib", "platform", "signal", "threading", "_thread", "builtin", "pydoc", "linecache", "_posixsubprocess":
		return true
	case "builtins", "__builtin__":
		switch strings.SplitN(g.name, ".", 2)[0] {
		case "eval", "exec", "execfile", "compile", "__import__", "open", "file", "input", "raw_input", "breakpoint", "globals", "locals", "vars", "apply", "delattr", "setattr", "help", "exit", "quit":
			return true
		}
	case "torch":
		switch {
		case strings.HasPrefix(g.module, "torch.hub"), strings.HasPrefix(g.module, "torch.utils.cpp_extension"),
			g.name == "load" && (g.module == "torch" || g.module == "torch.serialization"):
			return true
		}
	}
	return false
}
