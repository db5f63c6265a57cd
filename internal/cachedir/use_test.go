package cachedir

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestMain lets this test binary be another process, which uses a path until its input ends.
func TestMain(m *testing.M) {
	if path := os.Getenv("TLKIT_TEST_USES"); path != "" {
		Use(context.Background(), path)
		os.Stdout.WriteString("ready\n")
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestNothingInUseIsFree(t *testing.T) {
	root := t.TempDir()
	t.Setenv(EnvVar, root)
	dir, err := Dir("sets", "insects")
	if err != nil {
		t.Fatal(err)
	}
	free := func() bool {
		called := false
		ok, err := Free("sets/insects", func() error { called = true; return nil })
		if err != nil || ok != called {
			t.Fatalf("free %v, removed %v, %v", ok, called, err)
		}
		return ok
	}
	if !free() || !LastUse("sets/insects").IsZero() {
		t.Error("not free before its first use")
	}
	cmd := exec.Command(os.Args[0])
	// A file deep inside belongs to the same entry.
	cmd.Env = append(os.Environ(), "TLKIT_TEST_USES="+filepath.Join(dir, "train", "ants", "1.png"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 6))
	if runtime.GOOS != "windows" && free() {
		t.Error("free while another process uses it")
	}
	if LastUse("sets/insects").IsZero() {
		t.Error("no time of last use")
	}
	Use(context.Background(), dir) // two may use it
	in.Close()
	cmd.Wait()
	if free() {
		t.Error("free while this process uses it")
	}
}

// A run is found by its own file, also when its folder was renamed; one that was deleted owns nothing.
func TestOwnersAreTheRunsThatExist(t *testing.T) {
	t.Setenv(EnvVar, t.TempDir())
	home := filepath.Join(t.TempDir(), ".tlkit")
	path := func(elem ...string) string {
		dir, err := Dir(elem[:len(elem)-1]...)
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, elem[len(elem)-1])
	}
	for _, name := range []string{"one", "two"} {
		ctx, uses := Recording(t.Context())
		Use(About(ctx, "resnet18 on "+name), path("features", "shared.rows"))
		Use(ctx, path("files", name, "x.pth"))
		Use(ctx, filepath.Join(t.TempDir(), "elsewhere"))
		if err := os.MkdirAll(filepath.Join(home, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := uses.Keep(home, filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(home, "two"), filepath.Join(home, "two.1")); err != nil {
		t.Fatal(err)
	}
	owners, err := Owners()
	if err != nil || len(owners) != 3 || len(owners["features/shared.rows"]) != 2 {
		t.Fatalf("%v, %v", owners, err)
	}
	if o := owners["files/two"]; len(o) != 1 || o[0].Name != "two.1" || o[0].Folder != filepath.Join(home, "two.1") {
		t.Errorf("the renamed run: %v", o)
	}
	if o := owners["features/shared.rows"]; o[0].About != "resnet18 on one" {
		t.Errorf("about %v", o)
	}
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	if owners, err := Owners(); err != nil || len(owners) != 0 {
		t.Errorf("after the runs were deleted: %v, %v", owners, err)
	}
}
