interface Params { path: string }
const shown: string = params.path as string;
return shown!;
