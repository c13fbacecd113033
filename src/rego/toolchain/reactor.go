//go:build wasip1

package main

import "unsafe"

// The host is ../instance.ts: `alloc` gives room for a request, `handle` answers it.

// What the host has been given an address of; without a reference the garbage collector would take it.
var request, response []byte

//go:wasmexport alloc
func alloc(size uint32) unsafe.Pointer {
	request = make([]byte, max(size, 1))
	return unsafe.Pointer(unsafe.SliceData(request))
}

// handle answers the request of `size` bytes that lies where alloc said: address in the upper, length in the
// lower 32 bits.
//
//go:wasmexport handle
func handle(size uint32) uint64 {
	response = answer(request[:size])
	request = nil
	address := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(response))))
	return address<<32 | uint64(len(response))
}

// A reactor starts nothing by itself.
func main() {}
