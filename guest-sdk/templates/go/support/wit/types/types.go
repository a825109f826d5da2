// Package wit_types has the types of WIT that Go has no word for.
package wit_types

const (
	OptionNone uint8 = iota
	OptionSome
)

const (
	ResultOk uint8 = iota
	ResultErr
)

// Option is a value or none.
type Option[T any] struct {
	value *T
}

// Some is a value.
func Some[T any](value T) Option[T] { return Option[T]{&value} }

// None is no value.
func None[T any]() Option[T] { return Option[T]{} }

// Tag is OptionSome or OptionNone.
func (o Option[T]) Tag() uint8 {
	if o.value == nil {
		return OptionNone
	}
	return OptionSome
}

// IsSome tells whether there is a value.
func (o Option[T]) IsSome() bool { return o.value != nil }

// IsNone tells whether there is none.
func (o Option[T]) IsNone() bool { return o.value == nil }

// Some is the value, and panics where there is none.
func (o Option[T]) Some() T { return *o.value }

// SomeOr is the value, or the other one where there is none.
func (o Option[T]) SomeOr(other T) T {
	if o.value == nil {
		return other
	}
	return *o.value
}

// Result is what came out well, or the error.
type Result[T any, E any] struct {
	ok  *T
	err *E
}

// Ok is what came out well.
func Ok[T any, E any](value T) Result[T, E] { return Result[T, E]{ok: &value} }

// Err is the error.
func Err[T any, E any](value E) Result[T, E] { return Result[T, E]{err: &value} }

// Tag is ResultOk or ResultErr.
func (r Result[T, E]) Tag() uint8 {
	if r.ok == nil {
		return ResultErr
	}
	return ResultOk
}

// IsOk tells whether it came out well.
func (r Result[T, E]) IsOk() bool { return r.ok != nil }

// IsErr tells whether it did not.
func (r Result[T, E]) IsErr() bool { return r.ok == nil }

// Ok is the value, and panics where there is an error.
func (r Result[T, E]) Ok() T { return *r.ok }

// Err is the error, and panics where there is none.
func (r Result[T, E]) Err() E { return *r.err }

// Unit is nothing.
type Unit struct{}
