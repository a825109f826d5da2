// expect-failure: failed TypeError: the script cannot import 'lodash': only 'node:fs/promises' can be imported
import _ from "lodash";
export default () => 1;
