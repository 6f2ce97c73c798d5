package statefun

import (
	"sync"

	"statefun.internal/sdk-go/internal/wire"
)

// AddressScopedStorage has the states of the address that is invoked, as its ValueSpecs say. What
// cannot be right (a state that was not registered, a value of another type) panics with an error,
// which fails the batch.
type AddressScopedStorage interface {
	// Get reads a state into receiver, a pointer. It returns false, and leaves receiver alone, if
	// there is none.
	Get(spec ValueSpec, receiver interface{}) (exists bool)

	// Set writes a state.
	Set(spec ValueSpec, value interface{})

	// Remove deletes a state.
	Remove(spec ValueSpec)
}

type cell struct {
	value     wire.Value
	isTouched bool
}

// storage belongs to one batch. Its cells are in the order of the function's specs.
type storage struct {
	function *function
	mutex    sync.RWMutex
	cells    []cell
	isOver   bool
}

// fill takes the states of a request, and returns the specs of those that it lacks.
func (s *storage) fill(states []wire.State) (missing []wire.Spec) {
	specs := s.function.specs
	s.cells = make([]cell, len(specs))
	count := 0
	for i := range states {
		if place, ok := s.function.places[states[i].Name]; ok {
			if !s.cells[place].isTouched {
				count++
			}
			s.cells[place] = cell{value: states[i].Value, isTouched: true}
		}
	}
	for place := range specs {
		if count < len(specs) && !s.cells[place].isTouched {
			missing = append(missing, specs[place])
		}
		s.cells[place].isTouched = false
	}
	return missing
}

func (s *storage) Get(spec ValueSpec, receiver interface{}) bool {
	registered := s.place(spec, "read")
	s.mutex.RLock()
	value := s.cells[registered].value
	s.mutex.RUnlock()
	if !value.HasValue {
		return false
	}
	if wanted := s.function.specs[registered].Typename; value.Typename != wanted {
		refuse("state %s holds a value of %s, and is registered with %s", spec.Name, value.Typename, wanted)
	}
	if err := deserialize(spec.ValueType, value.Bytes, receiver); err != nil {
		refuse("state %s cannot be read: %w", spec.Name, err)
	}
	return true
}

func (s *storage) Set(spec ValueSpec, value interface{}) {
	place := s.place(spec, "set")
	if value == nil {
		refuse("state %s cannot be set to nil; use Remove to delete it", spec.Name)
	}
	encoded, err := serialize(spec.ValueType, value)
	if err != nil {
		refuse("state %s cannot be set: %w", spec.Name, err)
	}
	typename := s.function.specs[place].Typename
	s.touch(place, wire.Value{Typename: typename, HasValue: true, Bytes: encoded})
}

func (s *storage) Remove(spec ValueSpec) {
	place, ok := s.function.places[spec.Name]
	if !ok {
		refuse("state %s cannot be removed: function %v did not register it", spec.Name, s.function.typename)
	}
	s.touch(place, wire.Value{})
}

func (s *storage) touch(place int, value wire.Value) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.isOver {
		s.function.tooLate("a change of state " + s.function.specs[place].Name)
		return
	}
	s.cells[place] = cell{value: value, isTouched: true}
}

// place finds a state, and checks that it is used as it was registered.
func (s *storage) place(spec ValueSpec, done string) int {
	place, ok := s.function.places[spec.Name]
	if !ok {
		refuse("state %s cannot be %s: function %v did not register it", spec.Name, done, s.function.typename)
	}
	if spec.ValueType == nil {
		refuse("state %s cannot be %s: its spec has no ValueType", spec.Name, done)
	}
	typename, registered := spec.ValueType.GetTypeName().String(), s.function.specs[place].Typename
	if typename != registered {
		refuse("state %s cannot be %s as %s: it is registered with %s", spec.Name, done, typename, registered)
	}
	return place
}

// close ends the storage, and returns what was changed; nothing if it had ended already.
func (s *storage) close() []wire.Mutation {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.isOver {
		return nil
	}
	s.isOver = true
	mutations := make([]wire.Mutation, 0, len(s.cells))
	for place := range s.cells {
		if s.cells[place].isTouched {
			name := s.function.specs[place].Name
			mutations = append(mutations, wire.Mutation{Name: name, Value: s.cells[place].value})
		}
	}
	return mutations
}
