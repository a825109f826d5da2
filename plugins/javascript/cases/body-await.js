// expect: "late"
const text = await new Promise((resolve) => setTimeout(resolve, 5, "late"));
return text;
