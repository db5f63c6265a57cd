package data

import "testing"

func TestParseListRefuses(t *testing.T) {
	const sum = "7ecd41b968ea860192168cab616803fe1da6c253907c14fb2c1d46d7250ee480"
	good := sum + "  val/bees/1.jpg\n"
	files, err := parseList(good)
	if err != nil || len(files) != 1 || files[0].Split != "valid" || files[0].Path() != "val/bees/1.jpg" {
		t.Fatalf("a good list: %+v, %v", files, err)
	}
	for what, text := range map[string]string{
		"empty":        "",
		"short hash":   sum[2:] + "  bees/1.jpg\n",
		"no hex":       "zz" + sum[2:] + "  bees/1.jpg\n",
		"one space":    sum + " bees/1.jpg\n",
		"no class":     sum + "  1.jpg\n",
		"unknown word": sum + "  dev/bees/1.jpg\n",
		"too deep":     sum + "  train/bees/more/1.jpg\n",
		"twice":        good + good,
	} {
		if _, err := parseList(text); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestSplitNamed(t *testing.T) {
	for name, want := range map[string]Split{"train": Train, "Val": Valid, "validation": Valid, "VALID": Valid, "test": Test, "bees": "", "": ""} {
		if got, ok := SplitNamed(name); got != want || ok != (want != "") {
			t.Errorf("SplitNamed(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
}
