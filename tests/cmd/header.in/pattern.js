// /// wardroom
// net = ["https://{params.host}/x"]
// ///
return 1;
