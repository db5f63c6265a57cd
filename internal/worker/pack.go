package worker

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
)

// Pack writes a value for the other side. A nil pointer is no bytes.
func Pack(v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, nil
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).EncodeValue(v); err != nil {
		return nil, fmt.Errorf("worker: %s: %w", v.Type(), err)
	}
	return b.Bytes(), nil
}

// Unpack reads what Pack wrote into the value that to points to.
func Unpack(b []byte, to reflect.Value) error {
	if len(b) == 0 {
		return nil
	}
	if err := gob.NewDecoder(bytes.NewReader(b)).DecodeValue(to); err != nil {
		return fmt.Errorf("worker: %s: %w", to.Type(), err)
	}
	return nil
}
