package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/words"
)

// step runs one operation. All others are refused: INST, OBJ, EXT*, DUP, NEWOBJ_EX, the text
// forms of numbers, bytearrays and out-of-band buffers do not occur in files of torch.
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
	case 0x8b: // LONG4, which Python writes for integers of more than 255 bytes
		b, err := u.uint(4)
		if err != nil {
			return err
		}
		return fmt.Errorf("an integer of %d bytes, at most 255 are read", b)
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
	b, err := u.text(n)
	if err != nil {
		return err
	}
	return u.push(string(b))
}

func (u *unpickler) pushBytes(n uint64) error {
	b, err := u.text(n)
	if err != nil {
		return err
	}
	return u.push(bytes.Clone(b))
}

// text reads a length of n bytes and then that many bytes, which the result keeps.
func (u *unpickler) text(n uint64) ([]byte, error) {
	b, err := u.counted(n)
	if err == nil {
		err = u.budget.Describe(int64(len(b)))
	}
	return b, err
}

func (u *unpickler) pushGlobal(module, name string) error {
	g := global{module, name}
	if dangerous(g) {
		return fmt.Errorf("the file asks Python to use %s, which weights never need and which can be used for attacks, so it is refused (nothing was executed)", words.Quote(g.String()))
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
	if err := u.budget.Describe(costPair * int64(len(items)/2)); err != nil {
		return err
	}
	for i := 0; i < len(items); i += 2 {
		d.put(items[i], items[i+1])
	}
	return nil
}
