package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the completion scripts anew")

// TestCompletionScripts holds the scripts that packages install against what the present commands generate.
func TestCompletionScripts(t *testing.T) {
	written := 0
	for _, program := range programs {
		for _, s := range shells {
			script, err := completionScript(program, s.generate)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("..", "..", "completions", s.file(program))
			if *update {
				if err := os.WriteFile(path, script, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			have, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(have, script) {
				t.Errorf("%s is not current; run: make completions", path)
			}
			written++
		}
	}
	if there, _ := os.ReadDir(filepath.Join("..", "..", "completions")); len(there) != written {
		t.Errorf("%d files in completions/, %d are made", len(there), written)
	}
}
