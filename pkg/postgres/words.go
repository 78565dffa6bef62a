package postgres

import (
	"errors"
	"strings"
)

// words splits a command line as a shell would, but expands nothing: blanks separate, single quotes keep
// everything, double quotes keep all but \ before \ and ", a backslash keeps the next character.
// Source: Patroni 4.1 runs commands by shlex.split, which follows POSIX 1003.1, Shell Command Language, 2.2.
func words(line string) ([]string, error) {
	var list []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'':
			next, ok := byte('\\'), false
			if i+1 < len(line) {
				next, ok = line[i+1], true
			}
			switch {
			case !ok:
				return nil, errors.New("nothing follows the last backslash of " + line)
			case quote == '"' && next != '"' && next != '\\':
				word.WriteByte(c) // it stands for itself
			default:
				word.WriteByte(next)
				i++
			}
			inWord = true
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case strings.IndexByte(" \t\r\n", c) >= 0:
			if inWord {
				list = append(list, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed in " + line)
	}
	if inWord {
		list = append(list, word.String())
	}
	if len(list) == 0 {
		return nil, errors.New("the command is empty")
	}
	return list, nil
}
