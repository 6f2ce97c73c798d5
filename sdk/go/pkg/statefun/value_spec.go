package statefun

import (
	"fmt"
	"regexp"
	"time"

	"statefun.internal/sdk-go/internal/wire"
)

var stateName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z_\d]*$`)

// Expiration says when a state is deleted by itself. The zero value, and a duration of zero: never.
type Expiration struct {
	mode     int
	duration time.Duration
}

func (e Expiration) String() string {
	mode := [...]string{"none", "expire_after_write", "expire_after_call"}[e.mode]
	return fmt.Sprintf("Expiration{mode=%s, duration=%v}", mode, e.duration)
}

// ExpireAfterCall lets a state expire so long after the last message to its id.
func ExpireAfterCall(duration time.Duration) Expiration {
	return Expiration{wire.ExpireAfterInvoke, duration}
}

// ExpireAfterWrite lets a state expire so long after it was set last.
func ExpireAfterWrite(duration time.Duration) Expiration {
	return Expiration{wire.ExpireAfterWrite, duration}
}

// ValueSpec is a state of a function: its name, its type, and when it expires. The name begins with a
// letter or an underscore, and goes on with letters, digits and underscores.
type ValueSpec struct {
	Name       string
	ValueType  SimpleType
	Expiration Expiration
}

func (v *ValueSpec) String() string {
	typename := "?"
	if v.ValueType != nil {
		typename = v.ValueType.GetTypeName().String()
	}
	return fmt.Sprintf("ValueSpec{name=%s, type=%s, expiration=%v}", v.Name, typename, v.Expiration)
}

func (v *ValueSpec) onWire() (wire.Spec, error) {
	if !stateName.MatchString(v.Name) {
		return wire.Spec{}, fmt.Errorf(
			"state name %q does not begin with a letter or an underscore and go on with letters, digits and underscores",
			v.Name,
		)
	}
	if v.ValueType == nil {
		return wire.Spec{}, fmt.Errorf("state %s has no ValueType", v.Name)
	}
	spec := wire.Spec{Name: v.Name, Typename: v.ValueType.GetTypeName().String()}
	switch duration := v.Expiration.duration; {
	case duration == 0:
	case duration < time.Millisecond:
		return wire.Spec{}, fmt.Errorf(
			"state %s expires after %v; the shortest time is a millisecond, and zero is never", v.Name, duration,
		)
	default:
		spec.Expiration, spec.ExpireAfterMs = v.Expiration.mode, duration.Milliseconds()
	}
	return spec, nil
}
