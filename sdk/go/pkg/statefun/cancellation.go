package statefun

import (
	"errors"
	"fmt"
)

// CancellationToken is the name under which a delayed message can be cancelled until it is delivered.
type CancellationToken interface {
	fmt.Stringer

	// Token returns the text that the token was made of.
	Token() string

	internal()
}

type token string

func (t token) String() string { return "CancellationToken(" + string(t) + ")" }
func (t token) Token() string  { return string(t) }
func (t token) internal()      {}

// NewCancellationToken makes a token of a text that is not empty.
func NewCancellationToken(t string) (CancellationToken, error) {
	if t == "" {
		return nil, errors.New("a cancellation token is not empty")
	}
	if err := checkText("a cancellation token", t); err != nil {
		return nil, err
	}
	return token(t), nil
}
