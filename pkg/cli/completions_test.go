package cli

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the completion scripts anew")

// TestCompletionScripts holds the scripts that packages install against what the present commands generate.
func TestCompletionScripts(t *testing.T) {
	for file, generate := range map[string]func(root *cobra.Command, w io.Writer) error{
		"hathi.bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_hathi":     (*cobra.Command).GenZshCompletion,
		"hathi.fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		var script bytes.Buffer
		if err := generate(newEnv("hathi", strings.NewReader(""), io.Discard, io.Discard).root(), &script); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("..", "..", "completions", file)
		if *update {
			if err := os.WriteFile(path, script.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, script.Bytes()) {
			t.Errorf("%s is not current; run: go test ./pkg/cli -run TestCompletionScripts -update", path)
		}
	}
}
