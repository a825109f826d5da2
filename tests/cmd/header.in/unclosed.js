// /// wardroom
// name = "x"
return 1;
