#!/usr/bin/env node
// expect: 7
return 7;
