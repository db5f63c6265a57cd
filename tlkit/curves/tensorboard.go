package curves

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// eventFile is the name of TensorBoard's file in the folder of a split. TensorBoard reads every file
// whose name contains "tfevents". A fixed name is replaced when the run is written again.
const eventFile = "events.out.tfevents.tlkit"

// WriteTensorBoard writes the points of the run for TensorBoard: a folder for each split in dir, as
// dir/train and dir/valid, so that TensorBoard draws train and valid into the same chart. Points
// without a split, such as learning rates, go to dir/train. The tags are the metrics ("loss",
// "accuracy"), and the steps are Point.Step.
//
// Points have no time of their own. All of them get the time at: that of the run's end, for example.
// Earlier files of this method in dir are replaced, other files stay. Show them with
// tensorboard --logdir DIR.
//
// It is an error if a file of that name is there that no such method wrote, unless force.
func (r Run) WriteTensorBoard(dir string, at time.Time, force bool) error {
	files := map[string]*bytes.Buffer{}
	wall := float64(at.UnixNano()) / 1e9
	points, err := r.settled()
	if err != nil {
		return err
	}
	for _, p := range points {
		name := folderName(cmp.Or(p.Split, Train))
		if files[name] == nil {
			files[name] = &bytes.Buffer{}
			record(files[name], versionEvent(wall))
		}
		record(files[name], scalarEvent(wall, p))
	}
	for name := range files {
		file := filepath.Join(dir, name, eventFile)
		if err := atomicfile.Replaceable(file, "a file for TensorBoard", force, func() bool { return isRecords(file) }); err != nil {
			return fmt.Errorf("curves: %w", err)
		}
	}
	for name, content := range files {
		folder := filepath.Join(dir, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("curves: cannot make the folder for TensorBoard: %w", err)
		}
		if err := atomicfile.WriteBytes(filepath.Join(folder, eventFile), content.Bytes(), 0o644); err != nil {
			return fmt.Errorf("curves: %w", err)
		}
	}
	return nil
}

// isRecords reports whether a file begins as record makes it.
func isRecords(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	start := make([]byte, 12)
	_, err = io.ReadFull(f, start)
	return err == nil && binary.LittleEndian.Uint32(start[8:]) == masked(start[:8])
}

var notInNames = regexp.MustCompile(`[^\pL\pN._-]+`)

// folderName makes the name of a folder from that of a split, which may be any text.
func folderName(split string) string {
	return cmp.Or(strings.Trim(notInNames.ReplaceAllString(split, "-"), "."), "other")
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of the TFRecord format. It is masked because a checksum over data that
// contains its own checksum says little.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// record appends one record of a TFRecord file: length, checksum of the length, data, checksum of
// the data; https://www.tensorflow.org/tutorials/load_data/tfrecord.
func record(out *bytes.Buffer, data []byte) {
	size := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out.Write(size)
	out.Write(binary.LittleEndian.AppendUint32(nil, masked(size)))
	out.Write(data)
	out.Write(binary.LittleEndian.AppendUint32(nil, masked(data)))
}

// The fields of tensorflow.Event and tensorflow.Summary that are written, each as its protobuf
// number and wire type.
const (
	varint = 0 // wire types
	fixed8 = 1
	length = 2
	fixed4 = 5

	eventWallTime    = 1<<3 | fixed8
	eventStep        = 2<<3 | varint
	eventFileVersion = 3<<3 | length
	eventSummary     = 5<<3 | length
	summaryValue     = 1<<3 | length
	valueTag         = 1<<3 | length
	valueSimple      = 2<<3 | fixed4
)

// versionEvent is the first event of a file.
func versionEvent(wall float64) []byte {
	return appendBytes(appendWall(nil, wall), eventFileVersion, []byte("brain.Event:2"))
}

func scalarEvent(wall float64, p Point) []byte {
	value := appendBytes(nil, valueTag, []byte(p.Metric))
	value = append(value, valueSimple)
	value = binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(p.Value)))
	event := append(appendWall(nil, wall), eventStep)
	event = binary.AppendUvarint(event, uint64(p.Step))
	return appendBytes(event, eventSummary, appendBytes(nil, summaryValue, value))
}

func appendWall(to []byte, wall float64) []byte {
	return binary.LittleEndian.AppendUint64(append(to, eventWallTime), math.Float64bits(wall))
}

func appendBytes(to []byte, field byte, data []byte) []byte {
	to = binary.AppendUvarint(append(to, field), uint64(len(data)))
	return append(to, data...)
}
