// expect: 5
export default new Promise((resolve) => setTimeout(() => resolve(5), 1));
