// expect: true
progress(1, 10, "first");
progress(2);
return true;
