package episodes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// ffmpeg finds the program that decodes videos. There is no decoder of AV1 and H.264 in plain Go.
func ffmpeg() (string, error) {
	name := os.Getenv("TLKIT_FFMPEG")
	if name == "" {
		name = "ffmpeg"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", advice.New(errors.New("its pictures are in mp4 files, which need ffmpeg"), "install ffmpeg, or set TLKIT_FFMPEG to where it is")
	}
	return path, nil
}

// video returns the pictures of a camera, decoded by ffmpeg.
func (s *Set) video(ctx context.Context, episode int, key string) (next pictures, stop func(), err error) {
	program, err := ffmpeg()
	if err != nil {
		return nil, nil, err
	}
	w, h := s.info.Features[key].size()
	if w < 1 || h < 1 {
		return nil, nil, fmt.Errorf("%s does not say how large its pictures are", infoFile)
	}
	from := s.places[episode].videos[key]
	file, err := s.path(from.file)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, frames(file, from.from, s.info.FPS, s.episodes[episode].Length)...)
	var said tail
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	stop = func() { cancel(); _ = cmd.Wait() }
	in, pixels, count := bufio.NewReaderSize(out, 1<<16), make([]byte, 3*w*h), 0
	return func(skip bool) (*image.NRGBA, error) {
		if _, err := io.ReadFull(in, pixels); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("%s ends after %d of %d pictures%s", from.file, count, s.episodes[episode].Length, said.words())
		}
		if count++; skip {
			return nil, nil
		}
		return opaque(pixels, w, h), nil
	}, stop, nil
}

// frames are ffmpeg's arguments for so many pictures of a file, from a time on, as red, green and
// blue bytes. It reads nothing but this file, whatever the file refers to. It starts half a frame
// early, for times in files are rounded.
func frames(file string, from, fps float64, count int) []string {
	args := []string{"-nostdin", "-v", "error", "-protocol_whitelist", "file", "-threads", "1"}
	if from > 0 {
		args = append(args, "-ss", fmt.Sprintf("%.6f", from-0.5/fps))
	}
	return append(args, "-i", "file:"+file, "-map", "0:v:0", "-fps_mode", "passthrough", "-frames:v", fmt.Sprint(count), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1")
}

// tail keeps the last lines that a program said.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	if t.Len() > 1<<14 {
		t.Reset()
	}
	return t.Buffer.Write(p)
}

func (t *tail) words() string {
	lines := strings.Split(strings.TrimSpace(t.String()), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return " (" + last + ")"
	}
	return ""
}
