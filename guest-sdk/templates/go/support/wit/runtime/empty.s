// Lets functions of this package be declared without a body.
