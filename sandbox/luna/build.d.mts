export declare function buildLuna(root: string): string
