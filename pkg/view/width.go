package view

import "github.com/clipperhouse/displaywidth"

// runeWidth is the number of screen columns a character takes, by the same rules as the table's body.
func runeWidth(r rune) int { return displaywidth.Rune(r) }

// width is the number of screen columns of a text.
func width(text string) int { return displaywidth.String(text) }
