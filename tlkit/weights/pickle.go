package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	maxPickle = 64 << 20  // bytes of pickle in one file; a state dict of 1000 tensors has 200 kB
	maxOps    = 2_000_000 // operations in one file; the same state dict has 40,000
	maxMarks  = 1000      // nested unfinished containers; Python's own recursion limit
)

// unpickler runs the pickle operations that build data, and no others. It can
// call nothing: a function in the pickle is a name, and what is "called" is
// looked up in a short list in pickle_reduce.go or becomes an inert object.
//
// Sizes in the pickle never size an allocation: they say how much of the bytes
// that are really there is meant, and every allocation is bounded by those.
type unpickler struct {
	window
	stack      []any
	marks      []int // heights of the stack at the MARKs
	memo       map[uint64]any
	ops        int
	persistent func(id any) (any, error) // what PyTorch stores outside the pickle
}

func newUnpickler(r io.ReaderAt, size int64, persistent func(any) (any, error)) *unpickler {
	return &unpickler{window: window{r: r, size: min(size, maxPickle), whole: size}, persistent: persistent}
}

// window reads ahead as far as the pickle has come, so that a legacy file, whose
// pickle is followed by all the weights, is not read whole.
type window struct {
	r     io.ReaderAt
	size  int64 // how far reading may go
	whole int64 // how far the data goes
	buf   []byte
	pos   int
}

func (w *window) take(n uint64) ([]byte, error) {
	if n <= uint64(len(w.buf)-w.pos) {
		b := w.buf[w.pos : w.pos+int(n) : w.pos+int(n)]
		w.pos += int(n)
		return b, nil
	}
	if n > uint64(w.size-int64(w.pos)) {
		if w.size < w.whole {
			return nil, fmt.Errorf("the pickle is longer than %d bytes", w.size)
		}
		return nil, io.ErrUnexpectedEOF
	}
	// n bytes are really there: read at least as many, and twice what we have.
	more := max(int(n)-(len(w.buf)-w.pos), len(w.buf), 64<<10)
	more = min(more, int(w.size)-len(w.buf))
	grown := make([]byte, len(w.buf)+more)
	copy(grown, w.buf)
	if _, err := io.ReadFull(io.NewSectionReader(w.r, int64(len(w.buf)), int64(more)), grown[len(w.buf):]); err != nil {
		return nil, err
	}
	w.buf = grown
	return w.take(n)
}

func (w *window) byte() (byte, error) {
	b, err := w.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// uint reads a little-endian number of n bytes.
func (w *window) uint(n uint64) (uint64, error) {
	b, err := w.take(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// counted reads a length of n bytes and then that many bytes.
func (w *window) counted(n uint64) ([]byte, error) {
	length, err := w.uint(n)
	if err != nil {
		return nil, err
	}
	return w.take(length)
}

// line reads to the end of a line, at most 1024 bytes: names of classes.
func (w *window) line() (string, error) {
	var line []byte
	for len(line) < 1024 {
		c, err := w.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(line), nil
		}
		line = append(line, c)
	}
	return "", errors.New("a Python name of more than 1024 bytes")
}

var errStack = errors.New("an operation finds too little on the stack")

// load runs one pickle to its STOP and returns the value it made. It can be
// called again for the pickle that follows; the memo does not survive, the count
// of operations does.
func (u *unpickler) load() (any, error) {
	u.stack, u.marks, u.memo = u.stack[:0], u.marks[:0], map[uint64]any{}
	for {
		at := u.pos
		op, err := u.byte()
		if err != nil {
			return nil, fmt.Errorf("pickle: %w", err)
		}
		if u.ops++; u.ops > maxOps {
			return nil, fmt.Errorf("pickle: more than %d operations", maxOps)
		}
		if op == '.' { // STOP
			v, err := u.pop()
			if err != nil {
				return nil, fmt.Errorf("pickle: %w", err)
			}
			if len(u.stack) != 0 || len(u.marks) != 0 {
				return nil, errors.New("pickle: it stops in the middle of a value")
			}
			return v, nil
		}
		if err := u.step(op); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("pickle: byte %d, operation 0x%02x: %w", at, op, err)
		}
	}
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

// floor is the height below which the current container may not pop.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) pop() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errStack
	}
	v := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	return v, nil
}

func (u *unpickler) top() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errStack
	}
	return u.stack[len(u.stack)-1], nil
}

// popMark takes everything above the last MARK, copied off the stack.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errStack
	}
	at := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	items := append([]any(nil), u.stack[at:]...)
	u.stack = u.stack[:at]
	return items, nil
}

func (u *unpickler) popTuple(n int) error {
	if len(u.stack)-u.floor() < n {
		return errStack
	}
	at := len(u.stack) - n
	t := append(tuple{}, u.stack[at:]...)
	u.stack = append(u.stack[:at], t)
	return nil
}

func (u *unpickler) memoize(index uint64) error {
	v, err := u.top()
	if err == nil {
		u.memo[index] = v
	}
	return err
}

func (u *unpickler) recall(index uint64) error {
	v, ok := u.memo[index]
	if !ok {
		return fmt.Errorf("memo %d was never written", index)
	}
	return u.push(v)
}

// step runs one operation. This list is all there is: INST, OBJ, EXT*, DUP,
// NEWOBJ_EX, the text forms of numbers, bytearrays and out-of-band buffers occur in no
// file torch writes and are refused.
func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := u.byte()
		if err == nil && (v < 2 || v > 5) {
			err = fmt.Errorf("protocol %d", v)
		}
		return err
	case 0x95: // FRAME: only a hint for buffering
		_, err := u.take(8)
		return err
	case '(': // MARK
		if len(u.marks) == maxMarks {
			return fmt.Errorf("more than %d containers inside each other", maxMarks)
		}
		u.marks = append(u.marks, len(u.stack))
		return nil
	case '0': // POP, which also removes a MARK that has nothing above it
		if n := len(u.marks); n > 0 && u.marks[n-1] == len(u.stack) {
			u.marks = u.marks[:n-1]
			return nil
		}
		_, err := u.pop()
		return err
	case '1': // POP_MARK
		_, err := u.popMark()
		return err

	case 'N': // NONE
		return u.push(none{})
	case 0x88: // NEWTRUE
		return u.push(true)
	case 0x89: // NEWFALSE
		return u.push(false)
	case 'J': // BININT
		n, err := u.uint(4)
		if err != nil {
			return err
		}
		return u.push(int64(int32(uint32(n))))
	case 'K': // BININT1
		n, err := u.uint(1)
		if err != nil {
			return err
		}
		return u.push(int64(n))
	case 'M': // BININT2
		n, err := u.uint(2)
		if err != nil {
			return err
		}
		return u.push(int64(n))
	case 0x8a: // LONG1
		b, err := u.counted(1)
		if err != nil {
			return err
		}
		return u.push(long(b))
	case 'G': // BINFLOAT, the one big-endian number
		b, err := u.take(8)
		if err != nil {
			return err
		}
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))

	case 'X': // BINUNICODE
		return u.pushText(4)
	case 0x8c: // SHORT_BINUNICODE
		return u.pushText(1)
	case 0x8d: // BINUNICODE8
		return u.pushText(8)
	case 'U': // SHORT_BINSTRING: Python 2's str; its names are ASCII
		return u.pushText(1)
	case 'T': // BINSTRING
		return u.pushText(4)
	case 'C': // SHORT_BINBYTES
		return u.pushBytes(1)
	case 'B': // BINBYTES
		return u.pushBytes(4)
	case 0x8e: // BINBYTES8
		return u.pushBytes(8)

	case '}': // EMPTY_DICT
		return u.push(&dict{})
	case ']': // EMPTY_LIST
		return u.push(&list{})
	case ')': // EMPTY_TUPLE
		return u.push(tuple{})
	case 0x8f: // EMPTY_SET
		return u.push(&set{})
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		return u.popTuple(int(op - 0x84))
	case 't': // TUPLE
		items, err := u.popMark()
		if err != nil {
			return err
		}
		return u.push(tuple(items))
	case 'l': // LIST
		items, err := u.popMark()
		if err != nil {
			return err
		}
		return u.push(&list{items})

	case 'q': // BINPUT
		n, err := u.uint(1)
		if err != nil {
			return err
		}
		return u.memoize(n)
	case 'r': // LONG_BINPUT
		n, err := u.uint(4)
		if err != nil {
			return err
		}
		return u.memoize(n)
	case 0x94: // MEMOIZE
		return u.memoize(uint64(len(u.memo)))
	case 'h': // BINGET
		n, err := u.uint(1)
		if err != nil {
			return err
		}
		return u.recall(n)
	case 'j': // LONG_BINGET
		n, err := u.uint(4)
		if err != nil {
			return err
		}
		return u.recall(n)

	case 'a': // APPEND
		v, err := u.pop()
		if err != nil {
			return err
		}
		return u.extend([]any{v})
	case 'e': // APPENDS
		items, err := u.popMark()
		if err != nil {
			return err
		}
		return u.extend(items)
	case 's': // SETITEM
		if len(u.stack)-u.floor() < 3 {
			return errStack
		}
		v, _ := u.pop()
		k, _ := u.pop()
		return u.setItems([]any{k, v})
	case 'u': // SETITEMS
		items, err := u.popMark()
		if err != nil {
			return err
		}
		return u.setItems(items)
	case 0x90: // ADDITEMS
		items, err := u.popMark()
		if err != nil {
			return err
		}
		v, err := u.top()
		if err != nil {
			return err
		}
		s, ok := v.(*set)
		if !ok {
			return fmt.Errorf("items are added to %s, not to a set", kind(v))
		}
		s.values = append(s.values, items...)
		return nil

	case 'c': // GLOBAL
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		return u.pushGlobal(module, name)
	case 0x93: // STACK_GLOBAL
		if err := u.popTuple(2); err != nil {
			return err
		}
		v, _ := u.pop()
		module, ok1 := v.(tuple)[0].(string)
		name, ok2 := v.(tuple)[1].(string)
		if !ok1 || !ok2 {
			return errors.New("a Python name that is not text")
		}
		return u.pushGlobal(module, name)
	case 'R', 0x81: // REDUCE, NEWOBJ: never a call, see reduce
		if len(u.stack)-u.floor() < 2 {
			return errStack
		}
		args, _ := u.pop()
		callee, _ := u.pop()
		v, err := reduce(callee, args, 0)
		if err != nil {
			return err
		}
		return u.push(v)
	case 'b': // BUILD
		state, err := u.pop()
		if err != nil {
			return err
		}
		v, err := u.top()
		if err != nil {
			return err
		}
		// A dict's or tensor's own attributes (OrderedDict._metadata) are not needed.
		if o, ok := v.(*object); ok {
			o.state = state
		}
		return nil
	case 'Q': // BINPERSID
		id, err := u.pop()
		if err != nil {
			return err
		}
		if u.persistent == nil {
			return errors.New("a reference to outside the pickle")
		}
		v, err := u.persistent(id)
		if err != nil {
			return err
		}
		return u.push(v)
	}
	return errors.New("an operation that is not needed for weights and not carried out")
}

func (u *unpickler) pushText(n uint64) error {
	b, err := u.counted(n)
	if err != nil {
		return err
	}
	return u.push(string(b))
}

func (u *unpickler) pushBytes(n uint64) error {
	b, err := u.counted(n)
	if err != nil {
		return err
	}
	return u.push(bytes.Clone(b))
}

func (u *unpickler) pushGlobal(module, name string) error {
	g := global{module, name}
	if dangerous(g) {
		return fmt.Errorf("the file asks Python to use %s. Weights never do: this is an attack on whoever loads it, and it is refused (nothing was executed)", printable(g.String()))
	}
	return u.push(g)
}

func (u *unpickler) extend(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *list:
		v.values = append(v.values, items...)
	case *object: // a subclass of list, inert
	default:
		return fmt.Errorf("items are appended to %s", kind(v))
	}
	return nil
}

func (u *unpickler) setItems(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("a dict entry without value")
	}
	v, err := u.top()
	if err != nil {
		return err
	}
	var d *dict
	switch v := v.(type) {
	case *dict:
		d = v
	case *object: // a subclass of dict, such as defaultdict
		if v.items == nil {
			v.items = &dict{}
		}
		d = v.items
	default:
		return fmt.Errorf("entries are written to %s, not to a dict", kind(v))
	}
	for i := 0; i < len(items); i += 2 {
		d.put(items[i], items[i+1])
	}
	return nil
}

// long reads LONG1's two's complement of any length.
func long(b []byte) any {
	if len(b) > 8 {
		return bigInt(bytes.Clone(b))
	}
	var full [8]byte
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		full = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(full[:], b)
	return int64(binary.LittleEndian.Uint64(full[:]))
}
