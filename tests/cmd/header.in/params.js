// /// wardroom
// name = "greeter"
// env = ["HOME"]
// [params.name]
// type = "string"
// required = true
// [params.times]
// type = "integer"
// default = 1
// [params.tone]
// type = "enum"
// values = ["kind", "curt"]
// default = "kind"
// ///
return params;
