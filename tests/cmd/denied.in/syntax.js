const a = (1;
