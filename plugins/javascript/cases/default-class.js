// expect-failure: failed TypeError: class constructors must be invoked with 'new'
export default class Job {}
