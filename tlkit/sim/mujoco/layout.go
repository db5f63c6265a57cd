package mujoco

// Where the structs mjModel and mjData of MuJoCo 3.3.0 have what is read here, in bytes: an excerpt of
// its mjmodel.h and mjdata.h, the same on every 64-bit system. TestLayout measures them with a C
// compiler and those headers; Open reads a small model and refuses a library that differs.
const (
	modelNq    = 0
	modelNv    = 4
	modelNu    = 8
	modelNa    = 12
	modelNbody = 16
	modelNjnt  = 32
	modelNgeom = 36
	modelNsite = 40
	modelNcam  = 44
	modelNmesh = 92

	modelNmeshvert    = 96
	modelNmeshface    = 108
	modelNmat         = 168
	modelNmocap       = 224
	modelTimestep     = 352
	modelBodyMocapid  = 1392
	modelJntQposadr   = 1640
	modelJntDofadr    = 1648
	modelGeomType     = 1872
	modelGeomBodyid   = 1904
	modelGeomDataid   = 1912
	modelGeomMatid    = 1920
	modelGeomGroup    = 1928
	modelGeomSize     = 1984
	modelGeomRgba     = 2064
	modelCamFovy      = 2224
	modelMeshFaceadr  = 2912
	modelMeshFacenum  = 2920
	modelMeshVertadr  = 2896
	modelMeshVert     = 2984
	modelMeshFace     = 3008
	modelMatRgba      = 3496
	modelMatSpecular  = 3456
	modelMatShininess = 3464
	modelMeshVertnum  = 2904

	modelNtex             = 160
	modelNtexdata         = 164
	modelNmeshtexcoord    = 104
	modelMeshTexcoordadr  = 2960
	modelMeshTexcoordnum  = 2968
	modelMeshTexcoord     = 3000
	modelMeshFacetexcoord = 3024
	modelTexType          = 3368
	modelTexHeight        = 3376
	modelTexWidth         = 3384
	modelTexNchannel      = 3392
	modelTexAdr           = 3400
	modelTexData          = 3408
	modelMatTexid         = 3424
	modelMatTexuniform    = 3432
	modelMatTexrepeat     = 3440
	modelMatEmission      = 3448
	modelMatReflectance   = 3472

	dataTime      = 161616
	dataQpos      = 161656
	dataQvel      = 161664
	dataCtrl      = 161696
	dataMocapPos  = 161728
	dataMocapQuat = 161736
	dataXpos      = 161792
	dataXquat     = 161800
	dataGeomXpos  = 161848
	dataGeomXmat  = 161856
	dataSiteXpos  = 161864
	dataSiteXmat  = 161872
	dataCamXpos   = 161880
	dataCamXmat   = 161888
)
