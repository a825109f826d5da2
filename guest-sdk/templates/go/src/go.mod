module wit_component

go 1.25

require go.bytecodealliance.org/pkg v0.4.0

// What the generated bindings stand on, as far as this plugin needs it. Take the
// line away to have the whole module from its own place.
replace go.bytecodealliance.org/pkg => ../support
