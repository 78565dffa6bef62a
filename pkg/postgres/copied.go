package postgres

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// copiedFile says that the data are a copy of which it is not known yet whether it has all that this member has acknowledged
// before. It lies within the data directory, for it belongs to the data wherever they are moved; and each copy makes its
// own, so that one which came with the files of the source tells nothing.
const copiedFile = "hathi.copied"

const copiedText = `The data here are a copy. This member may have acknowledged more before, under the same name.
hathi removes this file when they have all that the leader had after the copy. Until then a member that /sync names
neither leads nor votes. Do not remove it by hand; a manual failover to this member overrides it.
`

// markCopied is called before a copy can be used; the mark is on disk when it returns.
func markCopied(dir string) error {
	return replace(filepath.Join(dir, copiedFile), []byte(copiedText), fileMode(dir))
}

// isCopied reports whether the data have the mark, or whether that can't be told.
func isCopied(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, copiedFile))
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

// TrustCopy takes the mark away that the data were copied.
func (i *Instance) TrustCopy(context.Context) error {
	return removeFiles(i.config().DataDir, copiedFile)
}
