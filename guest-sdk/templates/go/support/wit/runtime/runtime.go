// Package runtime gives the host memory to write into.
package runtime

import (
	"runtime"
	"unsafe"
)

// The memory of one call's params: kept from the collector until they are read.
var params runtime.Pinner

// Before Go has started, its heap is not there yet.
var started bool

func init() { started = true }

// Unpin says that the params are read.
func Unpin() { params.Unpin() }

// Allocate answers pinned memory, zeroed, aligned to 8 bytes at most.
func Allocate(pinner *runtime.Pinner, size, _ uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	words := make([]uint64, (size+7)/8)
	pointer := unsafe.Pointer(unsafe.SliceData(words))
	pinner.Pin(pointer)
	return pointer
}

//go:linkname sbrk runtime.sbrk
func sbrk(size uintptr) unsafe.Pointer

// The collector reads the clock while it works, and a component may call nobody
// while memory is asked of it: the adapter answers with the last time that it knows.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if !started {
		start := uintptr(sbrk(size + 8))
		return unsafe.Pointer((start + 7) &^ 7)
	}
	pauseClock(true)
	fresh := Allocate(&params, size, align)
	pauseClock(false)
	if old != nil {
		copy(unsafe.Slice((*byte)(fresh), size), unsafe.Slice((*byte)(old), min(oldSize, size)))
	}
	return fresh
}
