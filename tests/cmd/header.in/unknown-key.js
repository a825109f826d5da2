// /// wardroom
// name = "x"
// raed = ["data"]
// ///
return 1;
