package cli

import "fmt"

// wordedError is an error whose text is the contract's, capital letters and full stops included.
type wordedError struct {
	text  string
	cause error
}

func (e wordedError) Error() string { return e.text }
func (e wordedError) Unwrap() error { return e.cause }

func worded(format string, args ...any) error { return wordedError{text: fmt.Sprintf(format, args...)} }

// wordedBy puts words before the text of an error.
func wordedBy(cause error, words string) error {
	return wordedError{text: words + ": " + cause.Error(), cause: cause}
}
